package checker

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"alf"
	"alf/perfdata"
)

// The bounds on what is kept of a plugin's words.
const (
	defaultOutput = 256 << 10 // of its standard output, if the service sets none
	maxStderr     = 4 << 10
)

// Run runs a service's check once, as the loop does, and returns what came of
// it. The error is ctx's, if that ended first: then there is no result.
func Run(ctx context.Context, runner alf.Runner, s *alf.Service, due time.Time) (*alf.Result, error) {
	return job{s, due, &moment{max: s.MaxAttempts, now: time.Now()}, true}.run(ctx, runner)
}

// job is one run of a check.
type job struct {
	service *alf.Service
	due     time.Time
	moment  *moment // nil: no macro wants it
	ordered bool    // by a person
}

// giveUp is what a check may take besides its timeout: for queues, for making
// the connection, for ending what has timed out. A runner keeps to less.
const giveUp = 3 * time.Minute

func (j job) run(ctx context.Context, runner alf.Runner) (*alf.Result, error) {
	s := j.service
	stdout, stderr := &clip{limit: cmp.Or(s.MaxOutput, defaultOutput), tailed: s.Expect != nil}, &clip{limit: maxStderr}
	e, command := execution(s, j.moment)
	e.Stdout, e.Stderr, e.Ordered = stdout, stderr, j.ordered
	if j.ordered {
		e.Priority = alf.AdHoc
	}
	before := time.Now()
	bounded, cancel := context.WithTimeout(ctx, s.Timeout+giveUp)
	defer cancel()
	exit, err := runner.Run(bounded, e)
	if err != nil && ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if exit.Start.IsZero() {
		exit.Start = before
	}
	if exit.End.IsZero() {
		exit.End = time.Now()
	}
	r := &alf.Result{
		Due: j.due, Start: exit.Start, End: exit.End,
		Command: command, Metric: s.Metric, ReturnCode: -1,
		Stderr: strings.ToValidUTF8(stderr.String(), "\uFFFD"),
	}
	switch {
	case err != nil:
		failed(r, s, stdout, err)
	case s.Builtin == alf.CheckSSH:
		linkUp(r)
	default:
		answered(r, s, stdout, exit)
	}
	return r, nil
}

// execution returns what to run for s, and how to show it to people.
func execution(s *alf.Service, m *moment) (e alf.Execution, command string) {
	e = alf.Execution{Host: s.On, Script: s.Script, Path: s.Path, Dir: s.Dir, Limit: s.Timeout}
	if s.Builtin == alf.CheckSSH {
		e.Host = s.Host
		return e, ""
	}
	for _, v := range s.Env {
		e.Env = append(e.Env, v.Name+"="+m.bind(v.Value).Reveal())
	}
	if s.Stdin != nil {
		e.Stdin = strings.NewReader(m.bind(s.Stdin).Reveal())
	}
	if s.Shell != nil {
		line := m.bind(s.Shell)
		e.Shell = line.Reveal()
		return e, line.String()
	}
	var words []string
	if s.Script != "" {
		words = append(words, s.Script)
	}
	for _, t := range s.Argv {
		arg := m.bind(t)
		e.Argv = append(e.Argv, arg.Reveal())
		words = append(words, word(arg.String()))
	}
	return e, strings.Join(words, " ")
}

// word quotes s for people as a shell would need it.
func word(s string) string {
	const plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./:=,+@%<>"
	if s != "" && strings.Trim(s, plain) == "" {
		return s
	}
	return alf.Unquoted.Apply(s)
}

// answered fills r from a plugin that ended by itself.
func answered(r *alf.Result, s *alf.Service, stdout *clip, exit alf.Exit) {
	r.ReturnCode, r.Signal = exit.Code, exit.Signal
	if exit.Signal != "" {
		r.ReturnCode = -1
	}
	take(r, s, stdout)
	conclude(r, s, stdout)
}

// take fills r with what was written, as s has it: a plugin's output, or text.
func take(r *alf.Result, s *alf.Service, stdout *clip) {
	if s.Expect != nil && s.Thresholds == nil {
		read(r, stdout)
		return
	}
	parse(r, stdout)
}

// passive returns what was submitted, without a status yet, and the output as
// it came.
func passive(c alf.Command) (*alf.Result, *clip) {
	stdout := &clip{limit: defaultOutput}
	stdout.Write([]byte(c.Output))
	r := &alf.Result{Source: alf.Passive, ReturnCode: c.ReturnCode, Start: c.Time, End: c.Time}
	parse(r, stdout)
	return r, stdout
}

// conclude gives r, which holds return code and output, its status (RULES 5).
func conclude(r *alf.Result, s *alf.Service, stdout *clip) {
	r.Metric = s.Metric
	if len(s.Thresholds) > 0 && r.PerfdataText == "" {
		takeNumbers(r)
	}
	switch {
	case s.Expect != nil:
		expected(r, s.Expect, stdout)
	case r.Signal != "":
		r.Status = alf.Unknown
		r.Output = join("(Plugin was killed by signal "+r.Signal+")", r.Output, r.Stderr)
	case r.ReturnCode >= 0 && r.ReturnCode <= 3:
		r.Status = alf.Status(r.ReturnCode)
		r.Output = spoken(r.Output, r.Stderr)
	default:
		r.Status = s.BadExitStatus
		r.Output = join(outOfBounds(r.ReturnCode), r.Output, r.Stderr)
	}
	limit(r, s.Thresholds)
}

// spoken returns the output, or what Nagios says when there is none (RULES 5).
func spoken(output, stderr string) string {
	switch {
	case output != "":
		return output
	case strings.TrimSpace(stderr) != "":
		return "(No output on stdout) stderr: " + firstLine(stderr)
	}
	return "(No output returned from plugin)"
}

func outOfBounds(code int) string {
	hint := map[int]string{
		126: " - make sure the plugin is executable",
		127: " - make sure the plugin you're trying to run actually exists",
	}[code]
	return fmt.Sprintf("(Return code of %d is out of bounds%s)", code, hint)
}

// join returns what Alf says and the first words of the plugin, if any.
func join(said, output, stderr string) string {
	if output == "" {
		output = firstLine(stderr)
	}
	return strings.TrimSpace(said + " " + output)
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(s), "\n")
	return strings.TrimSpace(line)
}

// parse fills r with what the plugin wrote.
func parse(r *alf.Result, stdout *clip) {
	out := perfdata.SplitHead(stdout.String(), stdout.limit, stdout.cut)
	data, err := perfdata.Parse(out.Perfdata)
	r.Output, r.LongOutput = out.Text, out.Long
	r.Cut, r.Repaired = out.Cut, out.Repaired
	r.PerfdataText, r.Perfdata = strings.ReplaceAll(out.Perfdata, "\n", " "), data
	r.PerfdataErrors = Lines(err)
}

// Lines returns the texts of the errors that were joined into err.
func Lines(err error) []string {
	if err == nil {
		return nil
	}
	all, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return []string{err.Error()}
	}
	var out []string
	for _, e := range all.Unwrap() {
		out = append(out, e.Error())
	}
	return out
}

// failed fills r when the command gave no answer of its own.
func failed(r *alf.Result, s *alf.Service, stdout *clip, err error) {
	var why *alf.RunError
	if !errors.As(err, &why) {
		why = &alf.RunError{Cause: alf.CauseConfig, Err: err}
	}
	r.Cause = why.Cause
	if why.Cause == alf.CauseTimeout {
		take(r, s, stdout)
		r.Status, r.Output = s.TimeoutStatus, strings.TrimSpace(timedOut(s, why)+" "+r.Output)
		return
	}
	r.Status, r.Output = alf.Unknown, strings.ReplaceAll(why.Error(), "\n", "; ")
	if s.Key.IsHost() || s.IsLink() {
		r.Status = alf.Critical
	}
}

// timedOut says as Nagios does that time was up, and what Nagios does not know.
func timedOut(s *alf.Service, why *alf.RunError) string {
	said := fmt.Sprintf("%s check timed out after %s", kind(s), s.Timeout)
	if why.Phase == "exec" {
		said += ", before the login had begun it" // its profile hangs, or the home folder: it is not the plugin that is slow
	}
	if why.Orphan {
		said += ", and processes of it may live on"
	}
	return "(" + said + ")"
}

func kind(s *alf.Service) string {
	if s.Key.IsHost() {
		return "Host"
	}
	return "Service"
}

// linkUp fills r for a host whose link answered.
func linkUp(r *alf.Result) {
	took := r.Duration()
	r.Status, r.ReturnCode = alf.OK, 0
	r.Output = fmt.Sprintf("SSH OK - the link answered in %s", took.Round(10*time.Microsecond))
	r.PerfdataText = fmt.Sprintf("time=%.6fs;;;0", took.Seconds())
	r.Perfdata, _ = perfdata.Parse(r.PerfdataText)
}

// clip keeps the first bytes that are written to it, a little more than limit,
// so that perfdata.Split finds a good place to cut, and counts the others. It
// has no ReadFrom, which would go round Write.
type clip struct {
	limit  int
	kept   bytes.Buffer
	cut    int
	tailed bool   // keep the end, too: the verdict of a long job stands there
	tail   []byte // of what was cut, at least its last limit bytes
}

const clipSlack = 4 << 10

// Write never fails.
func (c *clip) Write(p []byte) (int, error) {
	room := max(c.limit+clipSlack-c.kept.Len(), 0)
	keep := p[:min(room, len(p))]
	c.cut += len(p) - len(keep)
	c.kept.Write(keep)
	if c.tailed {
		c.keepTail(p[len(keep):])
	}
	return len(p), nil
}

func (c *clip) keepTail(p []byte) {
	p = p[max(len(p)-c.limit, 0):]
	if len(c.tail)+len(p) > 2*c.limit {
		n := copy(c.tail, c.tail[max(len(c.tail)-c.limit, 0):])
		c.tail = c.tail[:n]
	}
	c.tail = append(c.tail, p...)
}

// lost is how many bytes of the middle are kept nowhere.
func (c *clip) lost() int { return c.cut - len(c.tail) }

// String returns what was kept.
func (c *clip) String() string { return c.kept.String() }
