package jetstream

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"alf"
	"alf/state"
)

// Info is what is kept, and how that is.
type Info struct {
	Where   string // directory or URL
	Server  string // version of NATS
	Alf     string // that has shaped the record last
	Schema  int    // of it
	Events  int    // version of their encoding
	Keys    int    // with a history
	Last    alf.ID // of the newest event
	Streams []StreamInfo
	Places  []state.Place
}

// StreamInfo is what a stream holds and may hold.
type StreamInfo struct {
	Name      string
	Messages  uint64
	Bytes     uint64
	Oldest    time.Time // when that message was written; zero: there is none
	Newest    time.Time
	MaxBytes  int64         // 0: no bound
	MaxAge    time.Duration // 0: no bound
	PerKey    int64         // messages that are kept of each; 0: no bound
	Lost      int           // messages that the server found damaged when it started; of the feed and the log only
	LostBytes uint64
}

// Info asks the server. It may be called at any time.
func (r *Record) Info(ctx context.Context) (Info, error) {
	out := Info{Where: r.o.Dir, Server: r.conn.ConnectedServerVersion()}
	if r.o.URL != "" {
		out.Where = r.o.address()
	}
	var err error
	if out.Streams, err = r.Streams(ctx); err != nil {
		return out, err
	}
	if out.Keys, err = r.keys(ctx); err != nil {
		return out, fmt.Errorf("count the keys: %w", err)
	}
	s := r.shaped
	if !r.o.ReadOnly {
		s = r.stamp()
	}
	out.Alf, out.Schema, out.Events = s.Alf, s.Schema, s.Events
	out.Last, _ = r.end()
	out.Places, err = r.Places(ctx)
	return out, err
}

// Streams asks the server what each stream holds.
func (r *Record) Streams(ctx context.Context) ([]StreamInfo, error) {
	var out []StreamInfo
	for _, name := range streamNames() {
		s, err := r.streamInfo(ctx, name)
		if err != nil {
			return nil, fmt.Errorf("stream %s: %w", name, err)
		}
		out = append(out, s)
	}
	return out, nil
}

// rawInfo is what a server says of a stream. The client library leaves out what
// was lost.
type rawInfo struct {
	Error  *jetstream.APIError    `json:"error"`
	Config jetstream.StreamConfig `json:"config"`
	State  struct {
		jetstream.StreamState
		Lost *struct {
			Msgs  []uint64 `json:"msgs"`
			Bytes uint64   `json:"bytes"`
		} `json:"lost"`
	} `json:"state"`
}

// infoRequest asks for what was lost, which comes with a list of all that was
// deleted. That is long, but where only the oldest messages go.
func infoRequest(name string) []byte {
	if name == feedStream || name == logStream {
		return []byte(`{"deleted_details":true}`)
	}
	return nil
}

func (r *Record) streamInfo(ctx context.Context, name string) (StreamInfo, error) {
	ctx, cancel := context.WithTimeout(ctx, directWithin)
	defer cancel()
	msg, err := r.conn.RequestWithContext(ctx, "$JS.API.STREAM.INFO."+name, infoRequest(name))
	if err != nil {
		return StreamInfo{}, err
	}
	var raw rawInfo
	if err := json.Unmarshal(msg.Data, &raw); err != nil {
		return StreamInfo{}, err
	}
	if raw.Error != nil {
		return StreamInfo{}, raw.Error
	}
	st := raw.State
	out := StreamInfo{
		Name: name, Messages: st.Msgs, Bytes: st.Bytes,
		MaxBytes: max(raw.Config.MaxBytes, 0), MaxAge: raw.Config.MaxAge, PerKey: max(raw.Config.MaxMsgsPerSubject, 0),
	}
	if st.Msgs > 0 {
		out.Oldest, out.Newest = st.FirstTime.UTC(), st.LastTime.UTC()
	}
	if st.Lost != nil {
		out.Lost, out.LostBytes = len(st.Lost.Msgs), st.Lost.Bytes
	}
	return out, nil
}

// keys returns how many keys have a history.
func (r *Record) keys(ctx context.Context) (int, error) {
	if !r.o.ReadOnly {
		r.mu.Lock()
		defer r.mu.Unlock()
		return len(r.heads), nil
	}
	found := make(map[string]struct{})
	for _, c := range classes {
		filter := "alf.*." + c.name + ".>"
		info, err := r.keep[c.name].Info(ctx, jetstream.WithSubjectFilter(filter))
		if err != nil {
			return 0, err
		}
		for subject := range info.State.Subjects { // alf.result.CLASS.KEY, or alf.tick...
			found[subject[strings.Index(subject, "."+c.name+".")+len(c.name)+2:]] = struct{}{}
		}
	}
	return len(found), nil
}
