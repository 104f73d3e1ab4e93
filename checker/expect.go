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
	kept := stdout.String()
	kept = kept[:min(len(kept), stdout.limit)]
	text := strings.ToValidUTF8(kept, "\uFFFD")
	r.Cut, r.Repaired = stdout.cut+stdout.kept.Len()-len(kept), text != kept
	first, rest, _ := strings.Cut(strings.TrimSpace(text), "\n")
	r.Output, r.LongOutput = strings.TrimSpace(first), rest
	if r.Cut > 0 {
		r.LongOutput += fmt.Sprintf("\n[... %d bytes cut]", r.Cut)
	}
}

// expected judges a task that is no plugin: if all is as e has it, it is OK.
func expected(r *alf.Result, e *alf.Expect, stdout string) {
	wrong := unexpected(r, e, stdout)
	if wrong == "" {
		r.Status = alf.OK
		if r.Output == "" {
			r.Output = "OK - as expected"
		}
		return
	}
	r.Status = e.Otherwise
	r.Output = strings.TrimSuffix(join(e.Otherwise.String()+" - "+wrong+":", r.Output, r.Stderr), ":")
}

// unexpected says what is not as e has it, or nothing.
func unexpected(r *alf.Result, e *alf.Expect, stdout string) string {
	switch {
	case r.Signal != "":
		return "killed by signal " + r.Signal
	case !slices.Contains(e.ExitCodes, r.ReturnCode):
		return fmt.Sprintf("exit code %d, expected %s", r.ReturnCode, numbers(e.ExitCodes))
	}
	for _, p := range []struct {
		re   *regexp.Regexp
		text string
		want bool
		say  string
	}{
		{e.Output, stdout, true, "output lacks"},
		{e.OutputNot, stdout, false, "output has"},
		{e.Stderr, r.Stderr, true, "stderr lacks"},
		{e.StderrNot, r.Stderr, false, "stderr has"},
	} {
		if p.re != nil && p.re.MatchString(p.text) != p.want {
			return fmt.Sprintf("%s %q", p.say, strings.TrimPrefix(p.re.String(), "(?m)"))
		}
	}
	return ""
}

func numbers(list []int) string {
	return strings.ReplaceAll(strings.Trim(fmt.Sprint(list), "[]"), " ", " or ")
}
