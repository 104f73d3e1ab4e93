package runner

import (
	"context"

	"alf"
	"alf/sshmux"
)

// HostKey has a host show its key, and says what is known about it. Nobody logs in to the host.
func (r *Runner) HostKey(ctx context.Context, h *alf.Host) (*sshmux.Shown, error) {
	return r.mux.HostKey(ctx, target(h))
}

// Paused returns why commands do not try to connect to a host now, an *alf.RunError; nil: they
// do.
func (r *Runner) Paused(h *alf.Host) error {
	if err := r.mux.Paused(target(h)); err != nil {
		return because(err, false)
	}
	return nil
}

// Probe connects to a host over a connection of its own and says what happens, step by step.
func (r *Runner) Probe(ctx context.Context, h *alf.Host) []sshmux.Step {
	return r.mux.Probe(ctx, target(h))
}

// PublicKeys returns the public halves of the keys that a host is logged in to with.
func (r *Runner) PublicKeys(ctx context.Context, h *alf.Host) ([]string, error) {
	return r.mux.PublicKeys(ctx, target(h))
}
