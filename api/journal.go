package api

import (
	"context"
	"io"
	"net/http"
	"time"

	"alf/api/wire"
)

// Journal is what people who care for the record may ask of it. Calls may overlap.
type Journal interface {
	// Info says what is kept.
	Info(ctx context.Context) (wire.Journal, error)
	// Export writes all of it to w, until ctx ends.
	Export(ctx context.Context, w io.Writer) error
}

// onSocket lets only callers on the Unix socket read what h says.
func onSocket(h handler) handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		if _, ok := peer(r.Context()); !ok {
			return wire.NewError(http.StatusForbidden, "this is served on the Unix socket only: use the alf command, or curl --unix-socket")
		}
		return h(w, r)
	}
}

func (a *API) journalInfo(w http.ResponseWriter, r *http.Request) error {
	if _, err := parameters(r); err != nil {
		return err
	}
	info, err := a.o.Journal.Info(r.Context())
	if err != nil {
		return wire.NewError(http.StatusServiceUnavailable, "the record does not answer: %v", err)
	}
	w.Header().Add("Vary", "Accept")
	return render(w, r, info)
}

// journalExport streams an export for as long as the caller goes on reading.
func (a *API) journalExport(w http.ResponseWriter, r *http.Request) error {
	if _, err := parameters(r); err != nil {
		return err
	}
	name, _ := peer(r.Context())
	a.o.Log.Info("export begun", "author", name)
	w.Header().Set("Content-Type", "application/x-ndjson")
	if r.Method == http.MethodHead {
		return nil
	}
	to := &patient{w: w, to: http.NewResponseController(w)}
	if err := to.to.SetReadDeadline(time.Time{}); err != nil { // or it would end the request's context
		return err
	}
	err := a.o.Journal.Export(r.Context(), to)
	if err != nil && !to.begun {
		return wire.NewError(http.StatusServiceUnavailable, "the record does not answer: %v", err)
	}
	if err != nil {
		a.o.Log.Warn("export broken off", "author", name, "err", err)
		panic(http.ErrAbortHandler) // so that nobody takes a part for the whole
	}
	return nil
}

// patient is a writer whose reader may take its time, as long as it goes on.
type patient struct {
	w     io.Writer
	to    *http.ResponseController
	begun bool
}

const exportStall = 2 * time.Minute

// Write writes p within a time of its own.
func (p *patient) Write(b []byte) (int, error) {
	if err := p.to.SetWriteDeadline(time.Now().Add(exportStall)); err != nil {
		return 0, err
	}
	p.begun = true
	return p.w.Write(b)
}
