package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/spf13/cobra"

	"alf"
	"alf/actions"
	"alf/api"
	"alf/api/wire"
	"alf/internal/sanitize"
)

func newAction(o *options) *cobra.Command {
	cmd := &cobra.Command{
		Use: "action", Short: "Try out what tells people", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newActionTest(o))
	return cmd
}

func newActionTest(o *options) *cobra.Command {
	var body wire.Trial
	cmd := &cobra.Command{
		Use: "test NAME [HOST [SERVICE]]", Short: "Send a test by an action, and show the answer", Args: cobra.RangeArgs(1, 3), Annotations: readsSocket,
		Long: `Send a notification that is marked as a test by an action ([action.NAME]), once, and
show what the target answers. It says that a host or service has a problem, or that
of --type, whatever its state is; without HOST it is about nothing that there is. No
incident that is really open changes by it, and it is not among the notifications.
The exit code is 1 if it has not arrived.`,
		Example: `  alf action test chat
  alf action test oncall web1 load
  alf action test oncall web1 load --type recovery`,
		RunE: func(cmd *cobra.Command, args []string) error {
			body.Type = strings.ToUpper(body.Type)
			if _, known := alf.ParseNotificationType(body.Type); !known {
				return usageError{fmt.Errorf("--type: %q is no type of notifications", body.Type)}
			}
			if len(args) > 1 {
				k, err := key(args[1:])
				if err != nil {
					return err
				}
				body.Host, body.Service = string(k.Host), string(k.Service)
			}
			t, err := o.daemon().TryAction(cmd.Context(), args[0], body)
			if err != nil {
				return err
			}
			return writeTried(cmd.OutOrStdout(), t)
		},
	}
	cmd.Flags().StringVar(&body.Type, "type", alf.TypeProblem.String(), "`TYPE` of the notification: PROBLEM, RECOVERY, ACKNOWLEDGEMENT, FLAPPINGSTART, FLAPPINGSTOP,\nFLAPPINGDISABLED, DOWNTIMESTART, DOWNTIMEEND or DOWNTIMECANCELLED")
	return cmd
}

// writeTried says what became of a test. That it has not arrived is an error.
func writeTried(w io.Writer, t *wire.Tried) error {
	took := fmt.Sprintf("after %.3f s", t.Seconds)
	if t.Delivered {
		_, err := fmt.Fprintf(w, "%s took the %s %s: %s\n", actionOf(t), t.Type, took, sanitize.Terminal(cmp.Or(string(t.Answer), "it has no more to say")))
		return err
	}
	again := "a notification would be sent again"
	if t.Permanent {
		again = "a notification would not be sent again"
	}
	return fmt.Errorf("%s did not take the %s %s: %s; %s", actionOf(t), t.Type, took, t.Error, again)
}

func actionOf(t *wire.Tried) string { return fmt.Sprintf("action %s (%s)", t.Action, t.Kind) }

// try sends a test by an action, for the API.
func (h *house) try(ctx context.Context, t api.Trial) (*wire.Tried, error) {
	tried, err := h.actions.Try(ctx, actions.Trial{Action: t.Action, Key: t.Key, Type: t.Type, Author: t.Author})
	switch {
	case errors.Is(err, actions.ErrNoAction):
		return nil, wire.NewError(http.StatusNotFound, "there is no action %q", t.Action)
	case errors.Is(err, actions.ErrNoService):
		return nil, wire.NewError(http.StatusNotFound, "there is no %s", t.Key)
	case errors.Is(err, actions.ErrTrying):
		return nil, wire.NewError(http.StatusConflict, "%v", err)
	case err != nil:
		return nil, err
	}
	out := &wire.Tried{Action: t.Action, Kind: tried.Kind, Type: t.Type.String(), Delivered: tried.Err == nil, Answer: wire.Text(tried.Answer), Seconds: tried.Took.Seconds()}
	if tried.Err != nil {
		out.Error, out.Permanent = wire.Text(tried.Err.Error()), errors.Is(tried.Err, alf.ErrPermanent)
	}
	h.logs.room("actions").Info("action tested", "action", t.Action, "host", t.Key.Host, "service", t.Key.Service, "type", out.Type, "author", t.Author,
		"delivered", out.Delivered, "err", string(out.Error))
	return out, nil
}
