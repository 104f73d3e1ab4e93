package alf

import (
	"fmt"
	"strings"
)

// Status is what a plugin's return code says: 0 OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN.
// In the State of a host it is 0 UP, 1 DOWN, 2 UNREACHABLE (RULES T5).
type Status uint8

// The statuses of a service.
const (
	OK Status = iota
	Warning
	Critical
	Unknown
)

// The statuses of a host.
const (
	Up Status = iota
	Down
	Unreachable
)

var (
	serviceStatus = [...]string{"OK", "WARNING", "CRITICAL", "UNKNOWN"}
	hostStatus    = [...]string{"UP", "DOWN", "UNREACHABLE"}
)

// String returns the name of a service's status, as Nagios writes it.
func (s Status) String() string {
	if int(s) < len(serviceStatus) {
		return serviceStatus[s]
	}
	return fmt.Sprintf("Status(%d)", uint8(s))
}

// HostString returns the name of a host's status, as Nagios writes it.
func (s Status) HostString() string {
	if int(s) < len(hostStatus) {
		return hostStatus[s]
	}
	return fmt.Sprintf("Status(%d)", uint8(s))
}

// StatusName returns the name of s for the kind of object that k names.
func (k Key) StatusName(s Status) string {
	if k.IsHost() {
		return s.HostString()
	}
	return s.String()
}

// ParseStatus reads the name of a service's status, in any case, or its number.
func ParseStatus(text string) (Status, error) { return parseStatus(text, serviceStatus[:]) }

// ParseStatus reads the name of a status of the kind of object that k names, in
// any case, or its number.
func (k Key) ParseStatus(text string) (Status, error) {
	if k.IsHost() {
		return parseStatus(text, hostStatus[:])
	}
	return ParseStatus(text)
}

func parseStatus(text string, names []string) (Status, error) {
	for i, name := range names {
		if strings.EqualFold(text, name) || text == fmt.Sprint(i) {
			return Status(i), nil
		}
	}
	return 0, fmt.Errorf("status %q is none of %s", text, strings.Join(names, ", "))
}

// severity orders statuses as people do: CRITICAL is worse than UNKNOWN.
var severity = [...]int{OK: 0, Warning: 1, Unknown: 2, Critical: 3}

// Severity orders a service's statuses from 0 (OK) over WARNING and UNKNOWN to CRITICAL.
func (s Status) Severity() int {
	if int(s) < len(severity) {
		return severity[s]
	}
	return 0
}
