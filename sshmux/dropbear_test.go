package sshmux

import (
	"testing"
	"time"

	"alf/internal/sshdtest"
)

// dropbear gives commands no process group of their own: an empty one proves nothing there.
func TestTimeoutOnDropbear(t *testing.T) {
	t.Parallel()
	m, target, server := start(t, sshdtest.Options{Kind: sshdtest.Dropbear, NormalUser: true})
	sh(t, m, target, "true")
	for _, line := range endless {
		exit, err := m.Run(t.Context(), target, Command{Shell: line, Timeout: 300 * time.Millisecond})
		if kind(t, err, Timeout, PhaseOutput); exit.Orphan {
			t.Errorf("%s: %v", line, err)
		}
		if left := server.Processes(); len(left) > 0 {
			t.Errorf("%s: left on the host: %q", line, left)
		}
	}
	if s := m.Stats(); s.Orphans != 0 || s.InUse != 0 || s.Dials != 1 {
		t.Errorf("Stats() = %+v, want no orphans and no slot in use", s)
	}
}
