package checker

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"alf"
)

// read fills r with the output of a task that is no plugin: all of it is text,
// whatever a "|" in it would mean to a plugin.
func read(r *alf.Result, stdout *clip) {
	begin, mended := text(stdout.kept.Bytes())
	first, rest, _ := strings.Cut(strings.TrimSpace(begin), "\n")
	r.Output, r.LongOutput = strings.TrimSpace(first), rest
	if stdout.cut > 0 {
		end, _ := text(stdout.tail)
		r.LongOutput += fmt.Sprintf("\n[... %d bytes cut]\n%s", stdout.lost(), end)
	}
	r.Cut, r.Repaired = stdout.lost(), mended
}

// expected judges a task that is no plugin: if all is as e has it, it is OK.
func expected(r *alf.Result, e *alf.Expect, stdout *clip) {
	wrong := unexpected(r, e, stdout)
	if wrong == "" {
		r.Status = alf.OK
		if r.Output == "" {
			r.Output = "OK - as expected"
		}
		return
	}
	r.Status = e.Otherwise
	said := e.Otherwise.String() + " - " + wrong
	if r.Output != "" || strings.TrimSpace(r.Stderr) != "" {
		said += ":"
	}
	r.Output = join(said, r.Output, r.Stderr)
}

// unexpected says what is not as e has it, or nothing.
func unexpected(r *alf.Result, e *alf.Expect, stdout *clip) string {
	switch {
	case r.Signal != "":
		return "killed by signal " + r.Signal
	case !slices.Contains(e.ExitCodes, r.ReturnCode):
		return fmt.Sprintf("exit code %d, expected %s", r.ReturnCode, numbers(e.ExitCodes))
	}
	begin, _ := text(stdout.kept.Bytes())
	end, _ := text(stdout.tail)
	for _, p := range []struct {
		re    *regexp.Regexp
		texts []string
		want  bool
		say   string
	}{
		{e.Output, []string{begin, end}, true, "output lacks"},
		{e.OutputNot, []string{begin, end}, false, "output has"},
		{e.Stderr, []string{r.Stderr}, true, "stderr lacks"},
		{e.StderrNot, []string{r.Stderr}, false, "stderr has"},
	} {
		if p.re != nil && slices.ContainsFunc(p.texts, p.re.MatchString) != p.want {
			return fmt.Sprintf("%s %q", p.say, strings.TrimPrefix(p.re.String(), "(?m)"))
		}
	}
	if e.OutputNot != nil && stdout.lost() > 0 {
		return fmt.Sprintf("output is too long to be searched, %d bytes of it are gone; raise max_output", stdout.lost())
	}
	return ""
}

// text returns what a task has written, with plain line ends, as valid UTF-8
// without NUL, and whether it was not.
func text(raw []byte) (s string, repaired bool) {
	s = strings.ReplaceAll(string(raw), "\r\n", "\n")
	mended := strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "\uFFFD")
	return mended, mended != s
}

func numbers(list []int) string {
	return strings.ReplaceAll(strings.Trim(fmt.Sprint(list), "[]"), " ", " or ")
}
