package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"alf"
	"alf/internal/sanitize"
	"alf/sshmux"
)

func newSSHCheck(o *options) *cobra.Command {
	return &cobra.Command{
		Use: "check HOST", Short: "Say phase by phase what happens on the way to a host", Args: cobra.ExactArgs(1),
		Annotations: map[string]string{reads: "config output"},
		Long: `Connect to a host over a connection of its own, once, and say phase by phase what
happened and how long it took: the bastion, the look-up of the name, the network, versions
and algorithms, the host's key and where it is known from, the login, a round trip, and a
command. Where something fails, it says why and what to do about it, and exits with 1.

A failed login is one more of those that an sshd counts, so do not repeat it all the time.
Run it as the user that Alf runs as.`,
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
			r := reportOf(h, run.Probe(cmd.Context(), h))
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

func writeReportJSON(w io.Writer, r linkReport) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(r)
}

func writeReport(w io.Writer, r linkReport) error {
	var rows [][]string
	for _, p := range r.Phases {
		took := time.Duration(p.Seconds * float64(time.Second)).Round(10 * time.Microsecond).String()
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
