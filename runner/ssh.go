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
