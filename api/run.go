package api

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"alf"
	"alf/api/wire"
	"alf/internal/sanitize"
)

// job is one run: a command on some hosts.
type job struct {
	api    *API
	body   wire.Run
	id     string
	author string
	hosts  []string
	feed   *feed
	ended  error // why it was called off before its end; nil: it was not
	tally
}

// run runs a command on all hosts that are selected, and answers with what they say while they
// say it. It ends with its caller.
func (a *API) run(w http.ResponseWriter, r *http.Request) error {
	if _, err := parameters(r); err != nil {
		return err
	}
	j := &job{api: a}
	if err := read(w, r, &j.body); err != nil {
		return err
	}
	if err := j.prepare(); err != nil {
		return err
	}
	j.author = author(r.Context(), j.body.Author)
	to := &patient{w: w, to: http.NewResponseController(w)}
	if err := to.to.SetReadDeadline(time.Time{}); err != nil { // or it would end the request's context
		return err
	}
	if j.body.DryRun {
		w.Header().Set("Content-Type", "application/x-ndjson")
		to.Write(append(encode(j.begin()), encode(&wire.RunEvent{Event: wire.RunDone})...)) // an error here means that the caller has left
		return nil
	}
	ctx, cancel := context.WithCancelCause(r.Context())
	defer cancel(nil)
	leave, err := a.runs.join(j, cancel)
	if err != nil {
		return err
	}
	defer leave()
	if err := j.remark(ctx, fmt.Sprintf("run %s: on %s: %s", j.id, j.whom(), j.what())); err != nil {
		return wire.NewError(http.StatusServiceUnavailable, "nothing was run: %v", err)
	}
	w.Header().Set("Content-Type", "application/x-ndjson")
	j.serve(ctx, cancel, to)
	return nil
}

// prepare finds the hosts and says what makes no sense.
func (j *job) prepare() error {
	b := &j.body
	bad := func(format string, args ...any) error { return wire.NewError(http.StatusBadRequest, format, args...) }
	b.Parallel = cmp.Or(b.Parallel, wire.RunParallel)
	b.Timeout = cmp.Or(b.Timeout, wire.Duration(wire.RunTimeout))
	switch {
	case b.Shell == "" && len(b.Command) == 0:
		return bad("there is nothing to run: give command or shell")
	case b.Shell != "" && len(b.Command) > 0:
		return bad("command and shell exclude each other")
	case b.Shell == "" && b.Command[0] == "":
		return bad("the command has no name")
	case len(b.Stdin) > wire.MaxRunStdin:
		return bad("stdin has more than %d bytes", wire.MaxRunStdin)
	case b.Parallel < 1 || b.Parallel > wire.MaxRunParallel:
		return bad("parallel %d is not a number from 1 to %d", b.Parallel, wire.MaxRunParallel)
	case b.Timeout < 0 || time.Duration(b.Timeout) > wire.MaxRunTimeout:
		return bad("timeout %s is not from 1s to %s", time.Duration(b.Timeout), wire.MaxRunTimeout)
	}
	hosts, err := j.api.hostsOf(*b)
	if err != nil {
		return err
	}
	j.hosts = hosts
	if err := j.api.o.Ready(); err != nil && !b.DryRun {
		return wire.NewError(http.StatusServiceUnavailable, "nothing was run: %v", err)
	}
	return nil
}

// hostsOf returns the hosts that a run is for, by name. Alf's own, which is none that anybody
// could log in to, is left out.
func (a *API) hostsOf(b wire.Run) ([]string, error) {
	o := wire.Order{Hosts: b.Hosts, Hostgroups: b.Hostgroups, Services: b.Services, States: b.States}
	if err := a.checkSelector(o); err != nil {
		return nil, err
	}
	var names []string
	for row := range a.query.all(nil) {
		name := string(row.Key().Host)
		known := len(names) > 0 && names[len(names)-1] == name
		if !known && selects(o, row) && !own(row.Service.Host) {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return nil, wire.NewError(http.StatusNotFound, "no host is selected")
	}
	return names, nil
}

// own reports whether h is not configured, but there for what Alf tells of itself.
func own(h *alf.Host) bool { return h.Name == alf.OwnHost && h.Where == (alf.Position{}) }

// begin returns the first event.
func (j *job) begin() *wire.RunEvent {
	return &wire.RunEvent{Event: wire.RunBegin, ID: j.id, Hosts: j.hosts, Parallel: j.body.Parallel, Timeout: j.body.Timeout, DryRun: j.body.DryRun}
}

// serve runs the command and sends the answer until all of it has ended. A caller that takes
// nothing for exportStall has left.
func (j *job) serve(ctx context.Context, cancel context.CancelCauseFunc, to *patient) {
	log := j.api.o.Log.With("run", j.id, "author", sanitize.Log(j.author))
	log.Info("run begun", "hosts", len(j.hosts))
	began := time.Now()
	j.feed = newFeed(ctx)
	j.feed.force(encode(j.begin()))
	var hosts sync.WaitGroup
	hosts.Go(func() {
		j.all(ctx)
		j.ended = calledOff(ctx)
		j.feed.force(encode(j.done(time.Since(began))))
		j.feed.end()
	})
	if err := j.send(to); err != nil {
		cancel(errLeft)
		j.feed.lose()
	}
	hosts.Wait()
	ok, failed, notRun := j.counts()
	log.Info("run ended", "ok", ok, "failed", failed, "not_run", notRun, "took", time.Since(began))
	text := fmt.Sprintf("run %s ended: %d ok, %d failed, %d not run", j.id, ok, failed, notRun)
	if j.ended != nil {
		text += ": called off: " + sanitize.Log(j.ended.Error())
	}
	if err := j.remark(context.WithoutCancel(ctx), text); err != nil {
		log.Warn("the end of a run is not in the log", "err", err)
	}
}

var errLeft = errors.New("its caller has left")

// calledOff returns why ctx has ended; nil: it has not. That of a request ends without a cause
// when the connection does.
func calledOff(ctx context.Context) error {
	if err := context.Cause(ctx); !errors.Is(err, context.Canceled) {
		return err
	}
	return errLeft
}

// send sends what comes until it is over.
func (j *job) send(to *patient) error {
	for over := false; !over; {
		var chunk []byte
		chunk, over = j.feed.take()
		if _, err := to.Write(chunk); err != nil {
			return err
		}
		if err := to.to.Flush(); err != nil {
			return err
		}
	}
	return nil
}

// remark writes into the audit.
func (j *job) remark(ctx context.Context, text string) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	_, err := j.api.o.Remark(ctx, j.author, text)
	if errors.Is(err, context.DeadlineExceeded) {
		err = errors.New("the log does not take it")
	}
	return err
}

// shownHosts are named in the audit.
const shownHosts = 10

// whom says on which hosts it runs.
func (j *job) whom() string {
	shown := strings.Join(j.hosts[:min(shownHosts, len(j.hosts))], ", ")
	switch more := len(j.hosts) - shownHosts; {
	case len(j.hosts) == 1:
		return shown
	case more > 0:
		return fmt.Sprintf("%d hosts (%s and %d more)", len(j.hosts), shown, more)
	}
	return fmt.Sprintf("%d hosts (%s)", len(j.hosts), shown)
}

// what says what is run, in one line. Of its input, which may be a secret, it says the length.
func (j *job) what() string {
	text := j.body.Shell
	if text == "" {
		words := make([]string, len(j.body.Command))
		for i, word := range j.body.Command {
			if words[i] = word; word == "" || strings.ContainsAny(word, " '\"\\$`*?;&|<>()\t\n") {
				words[i] = strconv.Quote(word)
			}
		}
		text = strings.Join(words, " ")
	}
	if len(text) > wire.MaxRunAudit {
		text = strings.ToValidUTF8(text[:wire.MaxRunAudit], "") + fmt.Sprintf(" ... (%d bytes)", len(text))
	}
	if n := len(j.body.Stdin); n > 0 {
		text += fmt.Sprintf(" (with %d bytes of input)", n)
	}
	return sanitize.Log(text)
}

// on runs the command on one host.
func (j *job) on(ctx context.Context, name string) {
	end := &wire.RunEvent{Event: wire.RunEnd, Host: name, Result: wire.RunNotRun}
	defer func() {
		j.count(end.Result)
		j.api.runs.count(end.Result)
		j.feed.force(encode(end))
	}()
	host := j.api.o.Inventory().Host(alf.HostName(name))
	if host == nil {
		end.Error = "it left the configuration"
		return
	}
	release, err := j.api.runs.turn(ctx, host)
	if err != nil {
		end.Error = wire.Text(err.Error())
		return
	}
	defer release()
	j.execute(ctx, host, end)
}

func (j *job) execute(ctx context.Context, host *alf.Host, end *wire.RunEvent) {
	drops := &j.api.runs.dropped
	stdout := &lines{feed: j.feed, host: end.Host, stream: "stdout", drops: drops}
	stderr := &lines{feed: j.feed, host: end.Host, stream: "stderr", drops: drops}
	var stdin io.Reader
	if len(j.body.Stdin) > 0 {
		stdin = bytes.NewReader(j.body.Stdin)
	}
	began := time.Now()
	exit, err := j.api.o.Runner.Run(ctx, alf.Execution{
		Host: host, Argv: j.body.Command, Shell: j.body.Shell, Stdin: stdin, Stdout: stdout, Stderr: stderr,
		Limit: time.Duration(j.body.Timeout), Ordered: true, Priority: alf.AdHoc,
	})
	stdout.close()
	stderr.close()
	if !exit.Start.IsZero() {
		began = exit.Start
	}
	end.Seconds = time.Since(began).Seconds()
	if !exit.End.IsZero() {
		end.Seconds = exit.End.Sub(began).Seconds()
	}
	end.Incomplete = stdout.incomplete(exit.End) || stderr.incomplete(exit.End)
	judge(end, exit, err)
}

// judge says what became of a command.
func judge(end *wire.RunEvent, exit alf.Exit, err error) {
	end.Result = wire.RunFailed
	if err != nil {
		end.Error = wire.Text(err.Error())
		end.Cause = alf.CauseTransport.String()
		var why *alf.RunError
		if errors.As(err, &why) {
			end.Cause, end.Phase = why.Cause.String(), why.Phase
		}
		return
	}
	end.ReturnCode, end.Signal = &exit.Code, exit.Signal
	if exit.Code == 0 && exit.Signal == "" {
		end.Result = wire.RunOK
	}
}

// cancelRun calls off a run. Its caller goes on reading until all has ended.
func (a *API) cancelRun(w http.ResponseWriter, r *http.Request) error {
	if _, err := parameters(r); err != nil {
		return err
	}
	id := r.PathValue("id")
	if !a.runs.cancel(id, fmt.Errorf("by %s", author(r.Context(), ""))) {
		return wire.NewError(http.StatusNotFound, "no run %q is under way", id)
	}
	return say(w, http.StatusOK, "called off")
}
