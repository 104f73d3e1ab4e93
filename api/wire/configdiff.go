package wire

import (
	"encoding/xml"

	"alf"
)

// ConfigDiff is what a reload would change.
type ConfigDiff struct {
	XMLName xml.Name     `json:"-" xml:"config_diff"`
	Differs bool         `json:"differs" xml:"differs"` // anything would change, at once or at the next start
	Counts  ConfigCounts `json:"counts" xml:"counts"`
	// Refused says why a reload without force would be refused; empty: it would not.
	Refused Text     `json:"refused" xml:"refused"`
	Restart []string `json:"needs_restart" xml:"needs_restart>setting"` // settings that differ and take effect at the next start
	// Tables are those besides hosts and checks that differ: actions and contacts.
	Tables   []ConfigTable   `json:"tables" xml:"tables>table"`
	Warnings []Text          `json:"warnings" xml:"warnings>warning"` // about what the files say
	Added    []ConfigKey     `json:"added" xml:"added>key"`
	Removed  []ConfigKey     `json:"removed" xml:"removed>key"`
	Renamed  []ConfigRenamed `json:"renamed" xml:"renamed>key"`
	Changed  []ConfigChanged `json:"changed" xml:"changed>key"`
	// Returning are those of Added that go on with what was known of one that was
	// removed: of themselves, or under another name.
	Returning []ConfigRenamed `json:"returning" xml:"returning>key"`
}

// ConfigTable is a table that a reload would add, remove or change.
type ConfigTable struct {
	Name   string `json:"name" xml:"name,attr"`     // such as action.chat
	Change string `json:"change" xml:"change,attr"` // added, removed or changed
}

// ConfigCounts says how many hosts and services there are of each. A host counts
// once, with its own check.
type ConfigCounts struct {
	Added   int `json:"added" xml:"added"`
	Removed int `json:"removed" xml:"removed"`
	Changed int `json:"changed" xml:"changed"`
	Renamed int `json:"renamed" xml:"renamed"`
	Kept    int `json:"kept" xml:"kept"`
}

// ConfigKey names a host, or a service on it.
type ConfigKey struct {
	Host    string `json:"host" xml:"host,attr"`
	Service string `json:"service" xml:"service,attr"` // empty: the host itself
}

// Key returns k as the rest of Alf knows it.
func (k ConfigKey) Key() alf.Key {
	return alf.Key{Host: alf.HostName(k.Host), Service: alf.ServiceName(k.Service)}
}

// NewConfigKey returns key as it stands in a body.
func NewConfigKey(key alf.Key) ConfigKey { return ConfigKey{string(key.Host), string(key.Service)} }

// NewConfigKeys returns keys as they stand in a body.
func NewConfigKeys(keys []alf.Key) []ConfigKey {
	out := make([]ConfigKey, len(keys))
	for i, key := range keys {
		out[i] = NewConfigKey(key)
	}
	return out
}

// ConfigRenamed is a host or a service that goes on under another name.
type ConfigRenamed struct {
	From ConfigKey `json:"from" xml:"from"`
	To   ConfigKey `json:"to" xml:"to"`
}

// ConfigChanged is a host or a service with other settings.
type ConfigChanged struct {
	ConfigKey
	// Settings are its own that differ; none: those of its host do.
	Settings []ConfigSetting `json:"settings" xml:"setting"`
}

// ConfigSetting is a setting that differs.
type ConfigSetting struct {
	Name string `json:"name" xml:"name,attr"`
	From Text   `json:"from" xml:"from"` // the same as To if only secrets differ, which nobody is shown
	To   Text   `json:"to" xml:"to"`
}
