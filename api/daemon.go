package api

import (
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"

	"alf/api/wire"
	"alf/internal/sanitize"
)

func (a *API) ping(w http.ResponseWriter, _ *http.Request) error {
	return say(w, http.StatusOK, "pong")
}

// healthy answers as long as Alf can answer at all.
func (a *API) healthy(w http.ResponseWriter, _ *http.Request) error {
	return say(w, http.StatusOK, "healthy")
}

func (a *API) ready(w http.ResponseWriter, _ *http.Request) error {
	if err := a.o.Ready(); err != nil {
		return say(w, http.StatusServiceUnavailable, "not ready: "+sanitize.Terminal(err.Error()))
	}
	return say(w, http.StatusOK, "ready")
}

func (a *API) reload(w http.ResponseWriter, r *http.Request) error {
	query, err := parameters(r, "force")
	if err != nil {
		return err
	}
	name, _ := peer(r.Context())
	order := ReloadOrder{Author: author(r.Context(), "")}
	if text := query.Get("force"); text != "" {
		if order.Force, err = strconv.ParseBool(text); err != nil {
			return wire.NewError(http.StatusBadRequest, "force %q is neither true nor false", text)
		}
	}
	if err := a.o.Reload(r.Context(), order); err != nil {
		return wire.NewError(http.StatusInternalServerError, "the configuration stays as it was: %v", err)
	}
	a.o.Log.Info("reload ordered", "author", name)
	return say(w, http.StatusOK, "reloaded")
}

// configDiff says what a reload would change.
func (a *API) configDiff(w http.ResponseWriter, r *http.Request) error {
	if _, err := parameters(r); err != nil {
		return err
	}
	diff, err := a.o.Diff(r.Context())
	if err != nil {
		return wire.NewError(http.StatusUnprocessableEntity, "%v", err)
	}
	w.Header().Add("Vary", "Accept")
	return render(w, r, diff)
}

// say answers with a line of plain text.
func say(w http.ResponseWriter, status int, line string) error {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	io.WriteString(w, line+"\n") // an error here means that the caller has left
	return nil
}

func (a *API) levels(w http.ResponseWriter, r *http.Request) error {
	if _, err := parameters(r); err != nil {
		return err
	}
	levels := a.o.Levels.Levels()
	out := wire.Levels{Levels: []wire.Level{}}
	for _, room := range slices.Sorted(maps.Keys(levels)) {
		out.Levels = append(out.Levels, wire.Level{Room: room, Level: levels[room].String()})
	}
	w.Header().Add("Vary", "Accept")
	return render(w, r, out)
}

func (a *API) setLevel(w http.ResponseWriter, r *http.Request) error {
	var body wire.Level
	if err := read(w, r, &body); err != nil {
		return err
	}
	if err := a.o.Levels.SetLevel(body.Room, body.Level); err != nil {
		return wire.NewError(http.StatusBadRequest, "log level: %v", err)
	}
	name, _ := peer(r.Context())
	a.o.Log.Info("log level set", "of", body.Room, "level", body.Level, "author", name)
	return a.levels(w, r)
}
