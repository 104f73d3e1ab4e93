package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"

	"alf/api/wire"
)

// ErrBrokenOff is the error of a Run whose answer ended before the run did. What still ran
// then has been ended.
var ErrBrokenOff = errors.New("the answer was broken off")

// Run has a command run on hosts, and calls each with what comes, as it comes: first
// wire.RunBegin, last wire.RunDone. It takes as long as it takes. When ctx ends, or each
// returns an error, which Run then returns, the daemon ends what still runs. To wait for that
// and hear of it, use CancelRun instead. If each takes its time, the hosts wait for it, but
// not for long: then lines are dropped, which it is told.
func (c *Client) Run(ctx context.Context, r wire.Run, each func(wire.RunEvent) error) error {
	resp, err := c.patient().do(ctx, http.MethodPost, "/api/v1/run", r, "application/x-ndjson")
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	for d := json.NewDecoder(resp.Body); ; {
		var e wire.RunEvent
		if err := d.Decode(&e); err != nil {
			if errors.Is(err, io.EOF) {
				return ErrBrokenOff
			}
			return fmt.Errorf("%w: %w", ErrBrokenOff, err)
		}
		if err := each(e); err != nil {
			return err
		}
		if e.Event == wire.RunDone {
			return nil
		}
	}
}

// CancelRun calls off the run of that ID, which its caller goes on reading until all of it has
// ended.
func (c *Client) CancelRun(ctx context.Context, id string) error {
	return c.call(ctx, http.MethodDelete, "/api/v1/run/"+url.PathEscape(id), nil, nil)
}
