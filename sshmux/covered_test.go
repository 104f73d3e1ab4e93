package sshmux

import (
	"strings"
	"testing"
	"time"

	"alf/internal/sshdtest"
)

// A host that an authority is known for, but that shows a plain key, is not trusted with it, nor
// with accept-new; somebody who knows its fingerprint may accept it beside the authority.
func TestPlainKeyWhereAnAuthorityIsKnown(t *testing.T) {
	t.Parallel()
	m, target, server := start(t, sshdtest.Options{})
	ca := newKeys(t, 1)[0]
	line := "@cert-authority * " + sshdtest.AuthorizedKey(ca)
	file := writeKnown(t, line)
	target.KnownHosts = []string{file}
	for _, policy := range []HostKeyPolicy{Strict, AcceptNew} {
		target.HostKeyPolicy = policy
		_, err := newMux(t, Options{}).Run(within(t, time.Minute), target, Command{Shell: "true"})
		kind(t, err, HostKey, PhaseHostKey)
	}
	s := shown(t, m, target)
	if s.Fingerprint != server.Fingerprint || s.New() || s.Trust() == nil || textOf(t, file) != line+"\n" {
		t.Errorf("shown = %+v, want a key that is not taken as that of a new host", s)
	}
	if _, err := s.Replace("SHA256:" + strings.Repeat("x", 43)); err == nil {
		t.Error("another fingerprint was accepted")
	}
	r, err := s.Replace(server.Fingerprint)
	if err != nil || !r.Added || len(r.Removed)+len(r.Left) > 0 || !strings.HasPrefix(textOf(t, file), line+"\n") {
		t.Errorf("Replace = %+v, %v, file %q", r, err, textOf(t, file))
	}
	target.HostKeyPolicy = Strict
	sh(t, newMux(t, Options{}), target, "true")
}
