package config

import (
	"regexp"

	"alf"
)

// expect is what [check.ID.expect] says.
type expect struct {
	set       bool
	exitCodes opt[[]int]
	patterns  [4]opt[*regexp.Regexp] // output, output_not, stderr, stderr_not
	otherwise opt[alf.Status]
}

func (e *expect) read(m *mistakes, key string, v value) {
	e.set = true
	sub(keys{
		"exit_codes": set(&e.exitCodes, readExitCodes),
		"output":     set(&e.patterns[0], readRegexp),
		"output_not": set(&e.patterns[1], readRegexp),
		"stderr":     set(&e.patterns[2], readRegexp),
		"stderr_not": set(&e.patterns[3], readRegexp),
		"otherwise":  set(&e.otherwise, readProblem),
	})(m, key, v)
}

// made returns what a service is judged by, or nil.
func (e *expect) made() *alf.Expect {
	if !e.set {
		return nil
	}
	return &alf.Expect{
		ExitCodes: e.exitCodes.or(some([]int{0})).v,
		Output:    e.patterns[0].v, OutputNot: e.patterns[1].v,
		Stderr: e.patterns[2].v, StderrNot: e.patterns[3].v,
		Otherwise: e.otherwise.or(some(alf.Critical)).v,
	}
}

func readExitCodes(v value) ([]int, error) {
	codes, err := oneOrMore(number(0, 255))(v)
	if err == nil && len(codes) == 0 {
		err = errEmpty
	}
	return codes, err
}

// readRegexp reads a regular expression; ^ and $ stand at lines.
func readRegexp(v value) (*regexp.Regexp, error) {
	s, err := text(v)
	if err != nil {
		return nil, err
	}
	if _, err := regexp.Compile(s); err != nil {
		return nil, err
	}
	return regexp.Compile("(?m)" + s)
}

// readProblem reads a status that is not OK.
func readProblem(v value) (alf.Status, error) {
	s, err := oneOf("warning", "critical", "unknown")(v)
	if err != nil {
		return alf.OK, err
	}
	return alf.ParseStatus(s)
}
