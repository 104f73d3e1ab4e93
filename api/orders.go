package api

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"time"

	"alf"
	"alf/api/wire"
	"alf/internal/sanitize"
)

const (
	maxBody  = 1 << 20         // bytes in the body of a request
	patience = 5 * time.Second // for what an order led to to be seen
)

func (a *API) recheck(w http.ResponseWriter, r *http.Request) error {
	if _, err := parameters(r); err != nil {
		return err
	}
	row, err := a.row(r)
	if err != nil {
		return err
	}
	if !row.Service.Scheduled() {
		return wire.NewError(http.StatusConflict, "there is nothing to run: %q is only told its results, or has no check", row.Key())
	}
	return a.order(w, r, alf.Command{Verb: alf.Recheck, Key: row.Key()}, "")
}

func (a *API) submit(w http.ResponseWriter, r *http.Request) error {
	if _, err := parameters(r); err != nil {
		return err
	}
	row, err := a.row(r)
	if err != nil {
		return err
	}
	var body wire.Submission
	if err := read(w, r, &body); err != nil {
		return err
	}
	code, err := returnCode(row.Service, body)
	if err != nil {
		return wire.NewError(http.StatusBadRequest, "%s", err)
	}
	return a.order(w, r, alf.Command{Verb: alf.Submit, Key: row.Key(), ReturnCode: code, Output: body.Output}, body.Author)
}

// returnCode returns the return code that body gives, as such or as a status. That
// of a host is its state, as in Nagios.
func returnCode(s *alf.Service, body wire.Submission) (int, error) {
	switch {
	case body.Status == "" && body.ReturnCode == nil:
		return 0, errors.New("neither status nor return_code is given")
	case body.ReturnCode == nil:
		status, err := s.Key.ParseStatus(body.Status)
		return int(status), err
	}
	code, most := *body.ReturnCode, 255
	if s.Key.IsHost() {
		most = int(alf.Unreachable)
	}
	if code < 0 || code > most {
		return 0, fmt.Errorf("return_code %d is not a number from 0 to %d", code, most)
	}
	if body.Status == "" {
		return code, nil
	}
	means := s.BadExitStatus
	if code <= int(alf.Unknown) {
		means = alf.Status(code)
	}
	if named, err := s.Key.ParseStatus(body.Status); err != nil || named != means {
		return 0, cmp.Or(err, fmt.Errorf("status %q and return_code %d disagree", body.Status, code))
	}
	return code, nil
}

var verbs = [...]string{alf.Recheck: "recheck", alf.Submit: "submit"}

// order hands c to the checker in the caller's name and answers with what has
// come of it, or, with status 202, with what is known while it is under way.
func (a *API) order(w http.ResponseWriter, r *http.Request, c alf.Command, behalf string) error {
	f, err := negotiate(r)
	if err != nil {
		return err
	}
	c.Time = time.Now().UTC()
	c.Author = author(r.Context(), behalf)
	ctx, cancel := context.WithTimeout(r.Context(), patience)
	defer cancel()
	id, err := a.o.Submit(ctx, c)
	if err != nil && !errors.Is(err, context.DeadlineExceeded) {
		return wire.NewError(http.StatusServiceUnavailable, "the order was not taken: %v", err)
	}
	a.o.Log.Info("order taken", "host", c.Key.Host, "service", c.Key.Service, "order", verbs[c.Verb], "author", sanitize.Log(c.Author))
	status := http.StatusOK
	if id == 0 || a.o.View.Wait(ctx, id) != nil {
		status = http.StatusAccepted
	}
	row, err := a.row(r)
	if err != nil {
		return err
	}
	return f.write(w, status, f.media, a.wire(row))
}

// author returns the name of the caller, and on whose behalf the call is made.
func author(ctx context.Context, behalf string) string {
	name, _ := peer(ctx)
	if behalf == "" {
		return name
	}
	return behalf + " (by " + name + ")"
}

// read reads the JSON body of r into v.
func read(w http.ResponseWriter, r *http.Request, v any) error {
	media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || media != "application/json" {
		return wire.NewError(http.StatusUnsupportedMediaType, "the body must be application/json")
	}
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody))
	d.DisallowUnknownFields()
	err = d.Decode(v)
	if err == nil {
		_, err = d.Token()
		if err == io.EOF {
			return nil
		}
		err = cmp.Or(err, errors.New("something follows the object"))
	}
	var large *http.MaxBytesError
	if errors.As(err, &large) {
		return wire.NewError(http.StatusRequestEntityTooLarge, "the body is longer than %d bytes", large.Limit)
	}
	return wire.NewError(http.StatusBadRequest, "the body cannot be read: %v", err)
}
