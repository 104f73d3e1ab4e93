package sshmux

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
)

// Command is what to run on a host: either Argv or Shell.
type Command struct {
	// Argv is the program and its arguments. They arrive byte for byte, whatever the login
	// shell; only NUL is refused.
	Argv []string
	// Shell is a command line for /bin/sh -c.
	Shell string
	// Env holds "K=V" entries. They travel over the session's standard input, so that no
	// process list shows them.
	Env []string
	// Path holds directories that are put in front of the command's PATH, and so are searched
	// first for Argv[0].
	Path []string
	// Dir is the directory to run in; empty means the account's home.
	Dir string
	// Stdin is copied to the command; nil gives it /dev/null. It gets no new Read after Run has
	// returned; but a Read that is under way when the command ends is not waited for: its
	// goroutine ends when the Read does.
	Stdin io.Reader
	// Stdout and Stderr receive the output, each in its own goroutine; nil discards. They must
	// not block. After one has returned an error, it gets no more, and the command goes on.
	// They bound what they keep themselves.
	Stdout, Stderr io.Writer
	// Priority says who goes first of those that wait for a session of the same connection: the
	// greater one, and of equals who came first. Nobody is overtaken for ever.
	Priority int
	// Timeout is how long the command may run, counted from when it was sent; 0 leaves it to
	// the context.
	Timeout time.Duration
}

// Exit says how a command ended.
type Exit struct {
	Code    int       // the exit status; 128 and the signal's number if a signal ended the command; -1 if unknown
	Signal  string    // the signal that ended the command, such as "KILL"; else empty
	Started time.Time // when the command was sent; zero if it was not
	Ended   time.Time // when its end was seen
	Orphan  bool      // remote processes may live on: it could not be proven that they ended
}

// notRun is the Exit of a command that was never sent. Its code must not be 0, which would
// look like success.
var notRun = Exit{Code: -1}

// maxLine bounds the line that is sent: Linux takes no single argument of 128 KiB, and the
// login shell gets the line as one.
const maxLine = 128<<10 - 1

// request is a Command made ready to be sent.
type request struct {
	Command
	nonce   string   // begins the line that tells the command's output from all that came before it
	line    string   // what the login shell gets
	prelude string   // what the wrapper reads from standard input before the command does
	words   []string // what is executed

	watchdog string // shell text that starts one; empty: there is none
	dog      string // the word that lets it loose
}

// newRequest checks a Command and wraps it. The errors name no value of its environment.
func newRequest(c Command) (*request, error) {
	env, err := prelude(c.Env)
	if err != nil {
		return nil, err
	}
	words, err := c.words()
	if err != nil {
		return nil, err
	}
	r := &request{Command: c, nonce: rand.Text(), prelude: env, words: words}
	r.line = line(r.script())
	if len(r.line) > maxLine {
		return nil, fmt.Errorf("command of %d bytes is too long: at most %d can be sent", len(r.line), maxLine)
	}
	return r, nil
}

// words returns what is to be executed.
func (c Command) words() ([]string, error) {
	words := c.Argv
	if c.Shell != "" {
		words = []string{"/bin/sh", "-c", c.Shell}
	}
	switch {
	case c.Shell != "" && len(c.Argv) > 0:
		return nil, errors.New("command has both a shell line and arguments")
	case len(words) == 0 || words[0] == "":
		return nil, errors.New("empty command")
	case strings.HasPrefix(words[0], "-"):
		return nil, fmt.Errorf("command %q begins with a dash", words[0])
	}
	for _, s := range words {
		if strings.Contains(s, "\x00") {
			return nil, errors.New("command has a NUL byte")
		}
	}
	if strings.Contains(c.Dir, "\x00") {
		return nil, errors.New("directory has a NUL byte")
	}
	for _, dir := range c.Path {
		if strings.ContainsAny(dir, ":\x00") || dir == "" {
			return nil, fmt.Errorf("directory %q cannot be in PATH", dir)
		}
	}
	return words, nil
}

// script returns the POSIX shell text around the command. Everything that can go wrong in it
// does so before it says the nonce, so that the words of a shell are never taken for those of
// the command. $$ is the PID that exec keeps, and sshd has made it the leader of a process
// group (RULES S5).
func (r *request) script() string {
	var b strings.Builder
	if r.prelude != "" {
		b.WriteString("IFS= read -r alf_env || exit; eval \"$alf_env\" || exit; unset alf_env; ")
	}
	if r.Dir != "" {
		fmt.Fprintf(&b, "cd %s || { echo %s dir; exit 126; }; ", quote(enter(r.Dir)), r.nonce)
	}
	b.WriteString(r.watchdog)
	if len(r.Path) > 0 {
		fmt.Fprintf(&b, "PATH=%s${PATH:+:$PATH}; export PATH; ", quote(strings.Join(r.Path, ":")))
	}
	fmt.Fprintf(&b, "echo %s $$; exec", r.nonce)
	for _, w := range r.words {
		b.WriteByte(' ')
		b.WriteString(quote(w))
	}
	if r.Stdin == nil {
		b.WriteString(" </dev/null")
	}
	return b.String()
}

// prelude returns one line of shell text that sets the environment. It is read by "read -r",
// which takes no byte beyond the newline from what is not a file; so a newline within a value
// must be written as something else.
func prelude(env []string) (string, error) {
	if len(env) == 0 {
		return "", nil
	}
	var b strings.Builder
	const newline = "alf_nl=$(echo; echo x); alf_nl=${alf_nl%x}; "
	b.WriteString("export")
	broken := false
	for _, entry := range env {
		key, value, ok := strings.Cut(entry, "=")
		if !ok || !isName(key) {
			return "", fmt.Errorf("environment: %q is not the name of a variable", key)
		}
		if strings.Contains(value, "\x00") {
			return "", fmt.Errorf("environment: %s has a NUL byte", key)
		}
		broken = broken || strings.Contains(value, "\n")
		quoted := singleQuote(value)
		fmt.Fprintf(&b, " %s=%s", key, strings.ReplaceAll(quoted, "\n", `'"$alf_nl"'`))
	}
	if broken {
		return newline + b.String() + "; unset alf_nl\n", nil
	}
	return b.String() + "\n", nil
}

func isName(s string) bool {
	for i, c := range []byte(s) {
		letter := c == '_' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
		if !letter && (i == 0 || c < '0' || c > '9') {
			return false
		}
	}
	return s != ""
}

// line returns what makes a login shell of any kind replace itself by a POSIX shell that runs
// the script.
//
// Between single quotes, csh still sees "!" and newlines, fish sees backslashes, and who knows
// what others make of bytes beyond ASCII. A script with such bytes is sent in a form in which
// printf makes them of octal numbers.
func line(script string) string {
	if strings.IndexFunc(script, unquotable) < 0 {
		return "exec /bin/sh -c '" + script + "'"
	}
	var b strings.Builder
	b.WriteString(`exec /bin/sh -c 'eval "$(printf %b "`)
	for _, c := range []byte(script) {
		if unquotable(rune(c)) || strings.IndexByte("\"$`", c) >= 0 {
			fmt.Fprintf(&b, `\0%03o`, c)
			continue
		}
		b.WriteByte(c)
	}
	b.WriteString(`")"'`)
	return b.String()
}

// unquotable reports whether c is unsafe between single quotes in some shell.
func unquotable(c rune) bool {
	return c < ' ' || c >= 0x7f || c == '\'' || c == '!' || c == '\\'
}

// quote returns s as one word of a POSIX shell, without a single quote if that can be.
func quote(s string) string {
	const bare = "%+,-./0123456789:=@ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz"
	switch {
	case s != "" && strings.Trim(s, bare) == "":
		return s
	case strings.ContainsAny(s, "\"$`\\"):
		return singleQuote(s)
	}
	return `"` + s + `"`
}

func singleQuote(s string) string {
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
