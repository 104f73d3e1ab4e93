package nagios

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// The bounds of what an order may hold.
const (
	maxName     = 255                     // bytes of an author or an ID
	maxText     = 4 << 10                 // bytes of a comment
	maxTime     = 253402300799            // the end of the year 9999
	maxDuration = 10 * 366 * 24 * 60 * 60 // seconds
)

// fields are the arguments of a line that are still to be read. The first
// mistake is kept, and what is read after it means nothing.
type fields struct {
	rest  string
	ended bool // nothing is left, not even an empty argument
	now   time.Time
	err   error
}

func (f *fields) fail(format string, args ...any) {
	if f.err == nil {
		f.err = fmt.Errorf(format, args...)
	}
}

// check fails unless it is so.
func (f *fields) check(so bool, format string, args ...any) {
	if !so {
		f.fail(format, args...)
	}
}

// next returns the next argument, which must be there.
func (f *fields) next(what string) string {
	f.check(!f.ended, "the %s is missing", what)
	return f.optional()
}

// optional returns the next argument, or "".
func (f *fields) optional() string {
	arg, rest, more := strings.Cut(f.rest, ";")
	f.rest, f.ended = rest, !more
	return arg
}

// last returns all that is left, with whatever ';' is in it.
func (f *fields) last() string {
	rest := f.rest
	f.rest, f.ended = "", true
	return rest
}

func (f *fields) name(what string) string {
	s := f.next(what)
	f.check(s != "", "the %s is missing", what)
	return s
}

// text returns s as people can read it.
func (f *fields) text(what, s string, limit int) string {
	f.check(len(s) <= limit, "the %s has %d bytes, more than %d", what, len(s), limit)
	return strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "\uFFFD")
}

func (f *fields) number(what string, least, most int) int {
	s := f.next(what)
	n, err := strconv.Atoi(strings.TrimSpace(s))
	f.check(err == nil && least <= n && n <= most, "%s %s is no number from %d to %d", what, quote(s), least, most)
	return n
}

func (f *fields) flag(what string) bool { return f.number(what, 0, 1<<31-1) > 0 }

func (f *fields) time(what string) time.Time { return f.seconds(what, f.next(what)) }

// seconds reads a time; a fraction is left out.
func (f *fields) seconds(what, s string) time.Time {
	whole, _, _ := strings.Cut(strings.TrimSpace(s), ".")
	n, err := strconv.ParseInt(whole, 10, 64)
	f.check(err == nil && 0 <= n && n <= maxTime, "%s %s is no number of seconds since 1970", what, quote(s))
	return time.Unix(n, 0).UTC()
}

// unescape returns an output as its plugin wrote it: its line ends stand in the
// line as \n, and its backslashes as \\ (RULES P3).
func unescape(s string) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	return strings.NewReplacer(`\\`, `\`, `\n`, "\n").Replace(s)
}
