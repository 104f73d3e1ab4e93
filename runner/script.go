package runner

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strings"

	"alf"
	"alf/plugins"
)

// maxScript bounds a plugin that is sent over stdin.
const maxScript = 1 << 20

// withScript returns e as a command that reads its script from stdin, so that
// nothing is written where it runs.
func withScript(e alf.Execution) (alf.Execution, error) {
	if e.Stdin != nil {
		return e, errors.New("a script comes over stdin, so it can have no input of its own")
	}
	script, err := ReadScript(e.Script)
	if err != nil {
		return e, err
	}
	e.Argv = append(Interpreter(script), e.Argv...)
	e.Stdin = bytes.NewReader(script)
	return e, nil
}

// ReadScript returns one of Alf's own plugins, or the file of that path, which has a slash.
func ReadScript(name string) ([]byte, error) {
	if !strings.Contains(name, "/") {
		script, ok := plugins.Open(name)
		if !ok {
			return nil, fmt.Errorf("%q is none of Alf's plugins", name)
		}
		return script, nil
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	script, err := io.ReadAll(io.LimitReader(f, maxScript+1))
	if err == nil && len(script) > maxScript {
		err = fmt.Errorf("%s: longer than %d bytes", name, maxScript)
	}
	return script, err
}

// Interpreter returns the words that make the script's interpreter read it from
// stdin and take what follows as its arguments.
func Interpreter(script []byte) []string {
	line, _, _ := bytes.Cut(script, []byte("\n"))
	words := strings.Fields(strings.TrimPrefix(string(line), "#!"))
	if !bytes.HasPrefix(line, []byte("#!")) || len(words) == 0 {
		words = []string{"/bin/sh"}
	}
	program := words[0]
	if path.Base(program) == "env" && len(words) > 1 {
		program = words[1]
	}
	switch path.Base(program) {
	case "sh", "dash", "bash", "ash", "ksh", "zsh":
		return append(words, "-s", "--")
	}
	return append(words, "-")
}
