package wire

import (
	"encoding/xml"
	"time"
)

// Journal is what Alf keeps, and how that is.
type Journal struct {
	XMLName       xml.Name   `json:"-" xml:"journal"`
	Where         Text       `json:"where" xml:"where"`                   // directory, or URL of the NATS server
	Server        string     `json:"nats_version" xml:"nats_version"`     // of the engine
	Alf           string     `json:"alf_version" xml:"alf_version"`       // that has shaped the record last
	Schema        int        `json:"schema" xml:"schema"`                 // of the record
	EventsVersion int        `json:"events_version" xml:"events_version"` // of the encoding of events
	Keys          int        `json:"keys" xml:"keys"`                     // hosts and services with a history
	LastID        uint64     `json:"last_id" xml:"last_id"`               // of the newest event
	Daemon        *Engine    `json:"daemon" xml:"daemon"`                 // null: none runs
	Streams       []Stream   `json:"streams" xml:"streams>stream"`
	Consumers     []Consumer `json:"consumers" xml:"consumers>consumer"`
}

// Engine is how the record of a running Alf has been since it started.
type Engine struct {
	Broken      bool   `json:"broken" xml:"broken"` // nothing can be written now
	Restarts    uint64 `json:"restarts" xml:"restarts"`
	Behind      int    `json:"behind" xml:"behind"` // events that are not in the histories yet
	IndexErrors uint64 `json:"index_errors" xml:"index_errors"`
}

// Stream is a part of the record.
type Stream struct {
	Name          string     `json:"name" xml:"name"`
	Messages      uint64     `json:"messages" xml:"messages"`
	Bytes         uint64     `json:"bytes" xml:"bytes"`
	Oldest        *time.Time `json:"oldest" xml:"oldest"` // when it was written; null: it is empty
	Newest        *time.Time `json:"newest" xml:"newest"`
	MaxBytes      int64      `json:"max_bytes" xml:"max_bytes"`             // 0: no bound
	MaxAgeSeconds float64    `json:"max_age_seconds" xml:"max_age_seconds"` // 0: no bound
	PerKey        int64      `json:"max_per_key" xml:"max_per_key"`         // messages of each; 0: no bound
	Lost          int        `json:"lost" xml:"lost"`                       // messages of the feed or the log that the engine found damaged when it started
	LostBytes     uint64     `json:"lost_bytes" xml:"lost_bytes"`
}

// Consumer is how far a reader of the feed is.
type Consumer struct {
	Name    Text   `json:"name" xml:"name"`
	Done    uint64 `json:"done" xml:"done"` // ID of the last event that it took
	Lag     uint64 `json:"lag" xml:"lag"`
	Dropped uint64 `json:"dropped" xml:"dropped"` // events that were gone before it came to them
}

// Moment returns t in UTC as it stands in a body, or nil for the zero time.
func Moment(t time.Time) *time.Time { return moment(t) }
