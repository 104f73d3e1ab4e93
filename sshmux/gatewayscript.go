package sshmux

import (
	"cmp"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

//go:embed gateway.sh
var gatewaySource string

// gatewayMargin is what a gateway gives a command beyond its Timeout: whoever has sent it ends
// it first, and this is for those that nobody ends any more.
const gatewayMargin = 10 * time.Second

// Permit is a command that a gateway lets through.
type Permit struct {
	Name    string    // what people call it, for a comment
	Argv    []Pattern // as Command.Argv; of a Command.Shell: /bin/sh, -c and the line
	Env     []Pattern // as Command.Env
	Path    []string
	Dir     string
	Script  []byte // what must come over standard input; nil: nothing does
	Timeout time.Duration
}

// Pattern is a word of a command, put together from pieces.
type Pattern []Piece

// Piece is a part of a word.
type Piece struct {
	Kind PieceKind
	Text string // of a Literal or a Hidden
}

// PieceKind says what a part of a word may be.
type PieceKind uint8

// The kinds of pieces. Where a piece that varies begins a word, it must not begin with a dash,
// so that it is no option.
const (
	Literal PieceKind = iota // Text
	Hidden                   // Text, of which the script shall tell no more than a hash
	Plain                    // letters, digits, spaces and :.+-, and no dash in front
	Free                     // anything
	Quoted                   // what stands for anything between single quotes of a shell line, and no dash in front
)

// GatewayScript returns a POSIX shell script that lets a key run these commands and no others,
// if authorized_keys has command="exec PATH" for it, with the script's PATH; and the name of its
// list, by which [Mux.Gateway] says whether a host has it. name is what people call the host.
// The same commands make the same list, in whatever order.
func GatewayScript(name string, commands []Permit) (script, list string, err error) {
	listed, err := permits(commands)
	if err != nil {
		return "", "", err
	}
	name = gatewayText(name)
	text := strings.NewReplacer(
		"@NAME@", name, "@LISTED@\n", listed,
		"@HINT@", "does not allow this command: alf ssh authorize "+name+" --gateway --script prints its list",
	).Replace(gatewaySource)
	sum := sha256.Sum256([]byte(text))
	list = hex.EncodeToString(sum[:16])
	return strings.Replace(text, "@LIST@", list, 1), list, nil
}

// permit is a Permit as the script has it.
type permit struct {
	condition string // of the shell
	fixed     bool   // condition is a pattern of case
	limit     time.Duration
	names     []string
}

// permits returns the functions of the script that say what is permitted.
func permits(commands []Permit) (string, error) {
	known := make(map[string]*permit)
	var errs []error
	for _, c := range commands {
		p, err := c.permit()
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", c.Name, err))
			continue
		}
		old := known[p.condition]
		if old == nil {
			known[p.condition] = p
			continue
		}
		old.limit, old.names = max(old.limit, p.limit), append(old.names, p.names...)
	}
	list := slices.SortedFunc(maps.Values(known), func(a, b *permit) int { return cmp.Compare(a.condition, b.condition) })
	var fixed, varied strings.Builder
	for _, p := range list {
		slices.Sort(p.names)
		seconds := int64((p.limit + gatewayMargin + time.Second - 1) / time.Second)
		comment := "\t# " + strings.Join(slices.Compact(p.names), ", ") + "\n"
		if p.fixed {
			fmt.Fprintf(&fixed, "%s\t%s) alf_limit=%d ;;\n", comment, p.condition, seconds)
			continue
		}
		fmt.Fprintf(&varied, "%s\t%s &&\n\t\talf_limit=%d && return\n", comment, p.condition, seconds)
	}
	return "# permitted tells whether a command may run, and sets alf_limit to how many seconds. What it is given\n" +
		"# is the SHA-256 of the script that came, the environment, |, directory, PATH and the words.\n" +
		"permitted() { # WORD...\n\tcase $alf_asked in\n" + fixed.String() + "\t*) varies \"$@\" ;;\n\tesac\n}\n\n" +
		"# varies does so for those of which not all is known before.\n" +
		"varies() { # WORD...\n" + varied.String() + "\treturn 1\n}\n", errors.Join(errs...)
}

// permit returns c as the script has it.
func (c Permit) permit() (*permit, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	sum := "none"
	if c.Script != nil {
		s := sha256.Sum256(c.Script)
		sum = hex.EncodeToString(s[:])
	}
	var words []Pattern
	text := func(s string) { words = append(words, Pattern{{Text: s}}) }
	text(sum)
	words = append(words, c.Env...)
	bar := len(words)
	text("")
	text(enter(c.Dir))
	text(strings.Join(c.Path, ":"))
	words = append(words, c.Argv...)

	p := &permit{limit: c.Timeout, names: []string{strings.Trim(strconv.QuoteToASCII(c.Name), `"`)}}
	var err error
	p.condition, p.fixed, err = condition(words, bar)
	return p, err
}

// condition returns what is asked of the words: a pattern of case if all of them are fixed, else
// a list of commands. The bar is a word of its own, which nobody can send.
func condition(words []Pattern, bar int) (text string, fixed bool, err error) {
	conditions := []string{fmt.Sprintf("[ $# -eq %d ]", len(words))}
	var run, parameters []string // literal words in a row
	end := func() {
		if len(run) > 0 {
			conditions = append(conditions, fmt.Sprintf(`[ "%s" = '%s' ]`, strings.Join(parameters, " "), strings.Join(run, " ")))
		}
		run, parameters = nil, nil
	}
	for i, w := range words {
		w, err := w.merged()
		if err != nil {
			return "", false, err
		}
		literal, ok := w.literal()
		spelled := gatewayWord(literal)
		if i == bar {
			spelled = "|"
		}
		if !ok {
			end()
			conditions = append(conditions, w.fits(parameter(i+1)))
			continue
		}
		run, parameters = append(run, spelled), append(parameters, parameter(i+1))
	}
	if len(run) == len(words) {
		return "'" + strings.Join(run, " ") + "'", true, nil
	}
	end()
	return strings.Join(conditions, " &&\n\t\t"), false, nil
}

// parameter returns the n-th word that a function of the script was given.
func parameter(n int) string {
	if n > 9 {
		return fmt.Sprintf("${%d}", n)
	}
	return fmt.Sprintf("$%d", n)
}

// check refuses what can never be sent.
func (c Permit) check() error {
	var argv, env []string
	for _, w := range c.Argv {
		text, _ := w.literal()
		argv = append(argv, text)
	}
	if len(c.Argv) > 0 {
		if _, ok := c.Argv[0].literal(); !ok {
			return errors.New("the program is not known before the command is run")
		}
	}
	for _, w := range c.Env {
		if len(w) == 0 || w[0].Kind != Literal {
			return errors.New("a variable of the environment has no name")
		}
		env = append(env, w[0].Text)
	}
	_, err := newRequest(Command{Argv: argv, Env: env, Path: c.Path, Dir: c.Dir})
	return err
}

// literal returns the text of a word; ok: there is no other.
func (w Pattern) literal() (text string, ok bool) {
	for _, p := range w {
		if p.Kind != Literal {
			return text, false
		}
		text += p.Text
	}
	return text, true
}

// merged returns w without empty pieces and with no two in a row of which nothing says where the
// one ends and the other begins.
func (w Pattern) merged() (Pattern, error) {
	var out Pattern
	for _, p := range w {
		if p.Kind <= Hidden && p.Text == "" {
			continue
		}
		n := len(out)
		if n == 0 || (p.Kind == Literal) != (out[n-1].Kind == Literal) {
			out = append(out, p)
			continue
		}
		before := &out[n-1]
		if (p.Kind == Hidden) != (before.Kind == Hidden) {
			return nil, errors.New("a secret stands beside something that varies; put something between them, or hand it over in env")
		}
		before.Kind, before.Text = max(before.Kind, p.Kind), before.Text+p.Text
	}
	return out, nil
}

// fits returns a call of the script's function of that name, for a word that is merged.
func (w Pattern) fits(word string) string {
	call, text := `fits "`+word+`"`, ""
	for i, p := range w {
		if p.Kind == Literal {
			text = p.Text
			continue
		}
		call += " '" + gatewayText(text) + "' " + p.kind(i == 0)
		text = ""
	}
	return call + " '" + gatewayText(text) + "'"
}

// kind returns what the script calls a piece that is no Literal; first: it begins a word.
func (p Piece) kind(first bool) string {
	switch {
	case p.Kind == Hidden:
		sum := sha256.Sum256([]byte(p.Text))
		return "sha256:" + hex.EncodeToString(sum[:])
	case p.Kind == Plain:
		return "plain"
	case p.Kind == Quoted:
		return "quoted"
	case first:
		return "text"
	}
	return "any"
}
