package wire

import (
	"encoding/xml"
	"time"
)

// Link is the connection to a host, which all its checks share.
type Link struct {
	XMLName     xml.Name   `json:"-" xml:"link"`
	Host        Text       `json:"host" xml:"host"`
	Address     Text       `json:"address" xml:"address"`
	User        Text       `json:"user" xml:"user"`
	Via         Text       `json:"via" xml:"via"`                       // the bastion that it goes through; "": none
	State       string     `json:"state" xml:"state"`                   // up, dialling, idle or down
	Since       *time.Time `json:"since" xml:"since"`                   // when it came up; null: it is not up
	RTTSeconds  *float64   `json:"rtt_seconds" xml:"rtt_seconds"`       // the newest round trip; null: there was none yet
	InUse       int        `json:"sessions" xml:"sessions"`             // in use, with those held
	Held        int        `json:"sessions_held" xml:"sessions_held"`   // kept by the host for commands that have ended or were never begun
	Limit       int        `json:"sessions_limit" xml:"sessions_limit"` // commands at a time; 0: it is not up
	Queued      int        `json:"queued" xml:"queued"`                 // commands that wait for a session
	Prefetch    bool       `json:"prefetch" xml:"prefetch"`             // sessions are opened ahead
	Ahead       bool       `json:"ahead" xml:"ahead"`                   // there is one now
	Dials       uint64     `json:"dials" xml:"dials"`
	Failures    int        `json:"failures" xml:"failures"` // in a row
	Error       Text       `json:"error" xml:"error"`       // the newest, which stays when the link recovers; "": none yet
	LastFailure *time.Time `json:"last_failure" xml:"last_failure"`
	Retry       *time.Time `json:"retry" xml:"retry"` // it is not dialled before; null: it may be at once
}

// Links is all links, by host.
type Links struct {
	XMLName xml.Name `json:"-" xml:"links"`
	Links   []Link   `json:"links" xml:"link"`
}
