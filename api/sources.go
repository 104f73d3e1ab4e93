package api

import (
	"context"
	"errors"
	"net/http"
	"time"

	"alf/api/wire"
)

// Sources are what says which hosts there are, besides the files. Calls may overlap.
type Sources interface {
	Sources() wire.Sources
	// Refresh asks those of these names now, or all, and returns how they are
	// then. It goes on when ctx ends. An error that is no *wire.Error is ctx's.
	Refresh(ctx context.Context, names []string, order ReloadOrder) (wire.Sources, error)
}

// sourcePatience is how long an order waits for slow sources.
const sourcePatience = 100 * time.Second

func (a *API) sources(w http.ResponseWriter, r *http.Request) error {
	if _, err := parameters(r); err != nil {
		return err
	}
	w.Header().Add("Vary", "Accept")
	return render(w, r, a.o.Sources.Sources())
}

func (a *API) refreshSources(w http.ResponseWriter, r *http.Request) error {
	if _, err := parameters(r); err != nil {
		return err
	}
	f, err := negotiate(r)
	if err != nil {
		return err
	}
	var body wire.Refresh
	if err := read(w, r, &body); err != nil {
		return err
	}
	if err := http.NewResponseController(w).SetReadDeadline(time.Time{}); err != nil { // or it would end the request's context
		return err
	}
	name, _ := peer(r.Context())
	a.o.Log.Info("sources ordered", "sources", body.Sources, "force", body.Force, "author", name)
	ctx, cancel := context.WithTimeout(r.Context(), sourcePatience)
	defer cancel()
	out, err := a.o.Sources.Refresh(ctx, body.Sources, ReloadOrder{Author: name, Force: body.Force})
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		return f.write(w, http.StatusAccepted, f.media, a.o.Sources.Sources())
	}
	if err != nil {
		return err
	}
	return f.write(w, http.StatusOK, f.media, out)
}
