package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"alf"
	"alf/config"
)

// ownService is a service on the host alf with which Alf tells how it is itself.
// It is passive: what it says goes the way of all results.
type ownService struct {
	name alf.ServiceName
	says func(h *house) (alf.Status, string) // now; the string is what a plugin prints
	when func(c *config.Config) bool         // whether there is anything to say; nil: always
}

func (s ownService) applies(c *config.Config) bool { return s.when == nil || s.when(c) }

// ownServices are all of them. A row here is all that another one needs, and
// house.tell wherever it may say something else.
var ownServices = []ownService{
	{"configuration", (*house).saysConfiguration, nil},
	{"sources", (*house).saysSources, func(c *config.Config) bool { return len(c.Sources) > 0 }},
}

// withOwn returns c with Alf's own services, and the host that they are on unless
// the configuration has one of that name.
func withOwn(c *config.Config) *config.Config {
	out := *c
	var hosts []*alf.Host
	var services []*alf.Service
	host := c.Inventory.Host(alf.OwnHost)
	if host == nil {
		host = &alf.Host{Name: alf.OwnHost, Alias: "Alf itself", Address: "localhost"}
		hosts = append(hosts, host)
		services = append(services, &alf.Service{Key: alf.Key{Host: host.Name}, Host: host, Builtin: alf.CheckNone, Metric: alf.CheckNone, MaxAttempts: 1, Policy: c.Policy})
	}
	for _, s := range ownServices {
		if !s.applies(c) {
			continue
		}
		services = append(services, &alf.Service{
			Key: alf.Key{Host: host.Name, Service: s.name}, Host: host, Passive: true, MaxAttempts: 1,
			BadExitStatus: alf.Unknown, MaxOutput: maxOwnOutput, Metric: "alf", Policy: c.Policy,
		})
	}
	out.Inventory = c.Inventory.Plus(hosts, services)
	return &out
}

const maxOwnOutput = 64 << 10

// checkOwn refuses services that would have the name of one of Alf's own.
func checkOwn(c *config.Config) error {
	for _, own := range ownServices {
		if s := c.Inventory.Service(alf.Key{Host: alf.OwnHost, Service: own.name}); s != nil {
			return &config.Error{File: s.Where.File, Line: s.Where.Line,
				Text: fmt.Sprintf("check %q on host %q: service %q is what Alf calls one of its own there; choose another name", s.Check, s.Key.Host, own.name)}
		}
	}
	return nil
}

// tellFor bounds how long somebody waits until what Alf says of itself is recorded.
// It is, all the same, when the record works again.
const tellFor = 2 * time.Second

// tell has those of Alf's own services say how things are now; without names, all.
func (h *house) tell(ctx context.Context, names ...alf.ServiceName) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), tellFor)
	defer cancel()
	for _, s := range ownServices {
		if len(names) > 0 && names[0] != s.name || !s.applies(h.config.Load()) {
			continue
		}
		status, output := s.says(h)
		c := alf.Command{Verb: alf.Submit, Key: alf.Key{Host: alf.OwnHost, Service: s.name}, ReturnCode: int(status), Output: output}
		if _, err := h.checker.Submit(ctx, c); err != nil {
			h.logs.room("main").Debug("what Alf says of itself is not taken", "service", s.name, "err", err)
		}
	}
}

// shownMistakes bounds how many mistakes the service shows.
const shownMistakes = 50

// saysConfiguration says whether what stands in the files is what runs.
func (h *house) saysConfiguration() (alf.Status, string) {
	c := h.config.Load()
	h.loaded.mu.Lock()
	err, lastOK, took := h.loaded.err, h.loaded.lastOK, h.loaded.took
	h.loaded.mu.Unlock()
	since := lastOK.Format("2006-01-02 15:04:05")
	n := c.Counts
	perfdata := fmt.Sprintf("hosts=%d checks=%d services=%d", n.Hosts, n.Checks, n.Services)
	if took > 0 {
		perfdata += fmt.Sprintf(" time=%.3fs", took.Seconds())
	}
	var more []string
	status, first := alf.OK, fmt.Sprintf("OK - %s, read at %s", n, since)
	switch {
	case err != nil:
		more = strings.Split(err.Error(), "\n")
		status, first = alf.Warning, fmt.Sprintf("WARNING - the files are not what runs, that is of %s: %s", since, more[0])
		if len(more) > 1 {
			first = fmt.Sprintf("WARNING - %d mistakes, and what runs is of %s: %s", len(more), since, more[0])
		}
	case len(c.Warnings) > 0:
		first += fmt.Sprintf(", with warnings: %d", len(c.Warnings))
		for _, w := range c.Warnings {
			more = append(more, "warning: "+w.Error())
		}
	}
	return status, ownOutput(first, perfdata, more)
}

// ownOutput returns what a plugin would print. Of more, what is too much is left
// out.
func ownOutput(first, perfdata string, more []string) string {
	if left := len(more) - shownMistakes; left > 0 {
		more = append(more[:shownMistakes], fmt.Sprintf("and %d more: alf config check", left))
	}
	text := strings.NewReplacer("|", "¦").Replace
	out := text(first) + "|" + perfdata
	if len(more) > 0 {
		out += "\n" + text(strings.Join(more, "\n"))
	}
	return out
}
