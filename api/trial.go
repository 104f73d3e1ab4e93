package api

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"alf"
	"alf/api/wire"
)

// Trial is the order to send a notification that is marked as a test.
type Trial struct {
	Action string
	Key    alf.Key // the zero Key: it is about nothing that there is
	Type   alf.NotificationType
	Author string
}

// trialPatience is how long a target may take to answer a test.
const trialPatience = 90 * time.Second

// tryAction sends a test, and answers with what became of it.
func (a *API) tryAction(w http.ResponseWriter, r *http.Request) error {
	if _, err := parameters(r); err != nil {
		return err
	}
	f, err := negotiate(r)
	if err != nil {
		return err
	}
	t, err := a.readTrial(w, r)
	if err != nil {
		return err
	}
	if err := http.NewResponseController(w).SetReadDeadline(time.Time{}); err != nil { // or it would end the request's context
		return err
	}
	ctx, cancel := context.WithTimeout(r.Context(), trialPatience)
	defer cancel()
	out, err := a.o.Try(ctx, t)
	if err != nil {
		return err
	}
	became := "arrived"
	if !out.Delivered {
		became = "failed"
	}
	if _, err := a.o.Remark(ctx, t.Author, fmt.Sprintf("test of action %s: %s", t.Action, became)); err != nil {
		a.o.Log.Error("a test is not in the log", "action", t.Action, "author", t.Author, "err", err)
	}
	return f.write(w, http.StatusOK, f.media, out)
}

func (a *API) readTrial(w http.ResponseWriter, r *http.Request) (Trial, error) {
	var body wire.Trial
	if err := read(w, r, &body); err != nil {
		return Trial{}, err
	}
	t := Trial{Action: r.PathValue("action"), Key: alf.Key{Host: alf.HostName(body.Host), Service: alf.ServiceName(body.Service)}, Author: author(r.Context(), "")}
	if body.Type != "" {
		known := false
		if t.Type, known = alf.ParseNotificationType(body.Type); !known {
			return t, wire.NewError(http.StatusBadRequest, "type %q is no type of notifications", body.Type)
		}
	}
	switch {
	case t.Key == alf.Key{}:
		return t, nil
	case t.Key.Host == "":
		return t, wire.NewError(http.StatusBadRequest, "there is a service, but no host")
	}
	_, err := a.rowOf(t.Key)
	return t, err
}
