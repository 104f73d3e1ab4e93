package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"alf"
	"alf/checker"
	"alf/config"
	"alf/internal/sanitize"
	"alf/runner"
	"alf/sshmux"
)

func newSSHCheck(o *options) *cobra.Command {
	var now bool
	cmd := &cobra.Command{
		Use: "check HOST", Short: "Say phase by phase what happens on the way to a host", Args: cobra.ExactArgs(1),
		Annotations: readsOutput,
		Long: `Connect to a host over a connection of its own, once, and say phase by phase what
happened and how long it took:

  bastion    the last one on the way
  resolve    the look-up of the name
  dial       the network connection
  banner     the host's version, and Alf's
  kex        algorithms
  hostkey    the host's key, and where it is known from
  auth       what the host allows to log in with, what it refused, and what it took
  exec       the system, the login shell, and what /bin/sh is
  profile    what the login prints by itself
  clock      how far the host's is from the one here
  sessions   how many the host allows at a time, up to 10, and how many Alf uses
  ping       round trips

Where something fails, it says why and what to do about it, and exits with 1. Running checks
are not touched: sessions are counted for each connection.

A failed login is one more of those that an sshd counts, and it locks out those who have too
many. So while the daemon waits after a refused login, none is made here, unless --now is
given. Run it as the user that Alf runs as.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if o.output != "table" && o.output != "json" {
				return usageError{fmt.Errorf("output %q is none of table, json", o.output)}
			}
			c, run, err := o.runner(cmd)
			if err != nil {
				return err
			}
			defer run.Close()
			h, err := hostOf(c, args[0])
			if err != nil {
				return err
			}
			if err := o.heedPause(cmd.Context(), h); err != nil && !now {
				return err
			}
			steps := run.Probe(cmd.Context(), h)
			r := reportOf(h, steps)
			if err := r.compare(c, h, steps); err != nil {
				return err
			}
			write := writeReport
			if o.output == "json" {
				write = writeReportJSON
			}
			if err := write(cmd.OutOrStdout(), r); err != nil {
				return err
			}
			if !r.OK {
				return exitCode(exitError)
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&now, "now", false, "even while the daemon waits after a refused login")
	return cmd
}

// askFor bounds the question to the daemon, which need not run.
const askFor = 2 * time.Second

// heedPause returns why no login should be made now: the daemon's was refused. Without a daemon
// that answers, nobody else logs in.
func (o *options) heedPause(ctx context.Context, h *alf.Host) error {
	ctx, cancel := context.WithTimeout(ctx, askFor)
	defer cancel()
	pause, err := o.daemon().Paused(ctx, h.Name)
	if err != nil || !pause.Paused || pause.Cause != alf.CauseAuth.String() {
		return nil
	}
	return fmt.Errorf("the daemon was refused, and waits so that the host does not lock it out; --now logs in all the same: %s", pause.Error)
}

// linkReport is what alf ssh check says of a host.
type linkReport struct {
	Host    string      `json:"host"`
	Address string      `json:"address"`
	User    string      `json:"user"`
	OK      bool        `json:"ok"`
	Phases  []linkPhase `json:"phases"`
	Phase   string      `json:"phase,omitempty"` // that failed
	Cause   string      `json:"cause,omitempty"`
	Error   string      `json:"error,omitempty"`
	Advice  string      `json:"advice,omitempty"`
}

type linkPhase struct {
	Phase   string  `json:"phase"`
	Seconds float64 `json:"seconds"`
	Detail  string  `json:"detail,omitempty"`
	OK      bool    `json:"ok"`
}

func reportOf(h *alf.Host, steps []sshmux.Step) linkReport {
	r := linkReport{Host: string(h.Name), Address: addressOf(h), User: h.SSH.User, OK: true}
	for _, s := range steps {
		r.Phases = append(r.Phases, linkPhase{s.Name, s.Took.Seconds(), s.Said, s.Err == nil})
		if s.Err != nil {
			r.OK, r.Phase, r.Cause, r.Error, r.Advice = false, s.Name, s.Err.Kind.String(), s.Err.Error(), advice(h, s)
		}
	}
	return r
}

// compare adds whether the list of the gateway is that of the configuration.
func (r *linkReport) compare(c *config.Config, h *alf.Host, steps []sshmux.Step) error {
	if !r.OK || !h.SSH.Gateway {
		return nil
	}
	_, want, err := runner.GatewayScript(h, c.Inventory.Services(), checker.FreeMacro)
	if err != nil {
		return err
	}
	p := linkPhase{Phase: "gateway", Detail: "its list is that of this configuration", OK: true}
	i := slices.IndexFunc(steps, func(s sshmux.Step) bool { return s.Name == sshmux.PhaseExec.String() })
	if got := steps[i].List; got != want {
		p.OK, p.Detail = false, "its list is another than that of this configuration"
		r.OK, r.Phase, r.Cause, r.Error = false, p.Phase, sshmux.Config.String(), outdated(h, got, want)
		r.Advice = fmt.Sprintf("install its list: alf ssh authorize %s --gateway --script", h.Name)
	}
	r.Phases = append(r.Phases, p)
	return nil
}

func writeReportJSON(w io.Writer, r linkReport) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(r)
}

func writeReport(w io.Writer, r linkReport) error {
	var rows [][]string
	for _, p := range r.Phases {
		took := time.Duration(p.Seconds * float64(time.Second)).Round(10 * time.Microsecond).String()
		if took == "0s" { // it was known already
			took = "-"
		}
		state := "ok"
		if !p.OK {
			state = "FAILED"
		}
		rows = append(rows, []string{p.Phase, state, took, orDash(p.Detail)})
	}
	if err := writeTable(w, "PHASE\tSTATE\tTOOK\tDETAIL", rows); err != nil || r.OK {
		return err
	}
	_, err := fmt.Fprintf(w, "\nCause:  %s: %s\nAdvice: %s\n", r.Cause, sanitize.Terminal(r.Error), sanitize.Terminal(r.Advice))
	return err
}

// advice says what to do about a step that has failed.
func advice(h *alf.Host, s sshmux.Step) string {
	if s.Name == "bastion" {
		return fmt.Sprintf("see what is wrong with the bastion: alf ssh check %s", h.SSH.Via.Name)
	}
	var key *sshmux.HostKeyError
	if errors.As(s.Err, &key) {
		return adviceOnKey(h, key)
	}
	if s.Err.Kind == sshmux.Config {
		return "mend what the cause names; the daemon needs to be able to read it, too"
	}
	port := strconv.Itoa(h.SSH.Port)
	switch s.Err.Phase {
	case sshmux.PhaseResolve:
		return fmt.Sprintf("mend address of host %q, or the look-up of names: getent hosts %s", h.Name, h.Address)
	case sshmux.PhaseDial:
		return fmt.Sprintf("see that the host is up, that its sshd listens on port %s, and that no firewall is between: nc -vz %s %s", port, h.Address, port)
	case sshmux.PhaseBanner, sshmux.PhaseKex:
		return fmt.Sprintf("see what answers on port %s: nc %s %[1]s; an sshd that hangs up says why in its log (MaxStartups, PerSourcePenalties, hosts.deny)", port, h.Address)
	case sshmux.PhaseHostKey:
		return fmt.Sprintf("see what keys the host has: alf ssh trust %s", h.Name)
	case sshmux.PhaseAuth:
		if len(h.SSH.IdentityFiles) == 0 && !h.SSH.Agent {
			return fmt.Sprintf("see that password is that of %s, that the account is neither locked nor expired, and what its sshd logs (journalctl -u ssh)", h.SSH.User)
		}
		return fmt.Sprintf("see that the key stands in ~%s/.ssh/authorized_keys on the host (alf ssh authorize %s), that only %[1]s may write there, and what its sshd logs (journalctl -u ssh)", h.SSH.User, h.Name)
	}
	return fmt.Sprintf("see that %s has a login shell that runs commands, and no nologin, expired password, full disk or command= in authorized_keys", h.SSH.User)
}

func adviceOnKey(h *alf.Host, e *sshmux.HostKeyError) string {
	switch {
	case e.Revoked:
		return "do not go there with that key: somebody has revoked it; give the host a new one"
	case e.Certificate != nil:
		return "give the host a valid certificate of its authority"
	case len(e.Known) == 0:
		return fmt.Sprintf("if the fingerprint is right: alf ssh trust %s", h.Name)
	}
	return fmt.Sprintf("if it was reinstalled and the fingerprint is right: alf ssh accept %s --fingerprint SHA256:...", h.Name)
}
