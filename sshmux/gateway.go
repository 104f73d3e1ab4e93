package sshmux

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"
)

// gatewayName begins what a gateway is asked for. It has a slash, so that a host without a
// gateway finds no program of that name.
const gatewayName = "alf-gateway/1"

// gatewayRefusal begins what a gateway says when it does not do what it was asked for.
const gatewayRefusal = "alf-gateway: "

// request makes a Command ready to be sent to a target.
func (t Target) request(c Command) (*request, error) {
	r, err := newRequest(c)
	if err != nil || !t.Gateway {
		return r, err
	}
	words, err := c.words()
	if err != nil {
		return nil, err
	}
	r.prelude = gatewayEnv(c.Env)
	asked := []string{gatewayName, "run", r.nonce, gatewayInput(len(c.Env) > 0, c.Stdin != nil), gatewayWord(enter(c.Dir)), gatewayWord(strings.Join(c.Path, ":"))}
	for _, w := range words {
		asked = append(asked, gatewayWord(w))
	}
	r.line = strings.Join(asked, " ")
	if len(r.line) > maxLine {
		return nil, fmt.Errorf("command of %d bytes is too long: at most %d can be sent", len(r.line), maxLine)
	}
	return r, nil
}

// gatewayInput says what comes over standard input.
func gatewayInput(env, script bool) string {
	switch {
	case env && script:
		return "env,script"
	case env:
		return "env"
	case script:
		return "script"
	}
	return "none"
}

// gatewayEnv returns the line that brings a gateway the environment.
func gatewayEnv(env []string) string {
	if len(env) == 0 {
		return ""
	}
	words := make([]string, len(env))
	for i, entry := range env {
		words[i] = gatewayWord(entry)
	}
	return strings.Join(words, " ") + "\n"
}

// gatewayWord writes s as one word of a request to a gateway, of letters, digits and marks that
// mean nothing to any shell, and each other byte as a backslash, a 0 and three octal digits,
// which printf makes it of again. There is only one way to write a word.
func gatewayWord(s string) string {
	if s == "" {
		return `\`
	}
	return gatewayText(s)
}

// gatewayText writes s as a part of a word.
func gatewayText(s string) string {
	const bare = "%+,-./0123456789:=@ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz"
	var b strings.Builder
	for _, c := range []byte(s) {
		if strings.IndexByte(bare, c) < 0 {
			fmt.Fprintf(&b, `\0%03o`, c)
			continue
		}
		b.WriteByte(c)
	}
	return b.String()
}

// enter returns a directory as cd takes it for nothing else: CDPATH would be searched for a
// relative one, and "-" is the directory before.
func enter(dir string) string {
	if dir == "" || path.IsAbs(dir) {
		return dir
	}
	return "./" + dir
}

// gatewayKill returns what has a gateway end the process group of a command that was sent as r.
func gatewayKill(r *request, pid int) *request {
	return &request{line: fmt.Sprintf("%s kill %s %d", gatewayName, r.nonce, pid)}
}

// helloRequest returns what makes a gateway tell its list and its system.
func helloRequest(out io.Writer) *request {
	r := &request{Command: Command{Stdout: out, Timeout: probeTimeout}, nonce: rand.Text()}
	r.line = gatewayName + " hello " + r.nonce
	return r
}

// Gateway asks the gateway of a host which list it has, see [GatewayScript].
func (m *Mux) Gateway(ctx context.Context, t Target) (list string, err error) {
	var out head
	if !t.Gateway {
		return "", t.fail(Config, PhaseExec, errors.New("the host has no gateway by its settings"))
	}
	ctx, call, err := m.join(ctx, t)
	if err != nil {
		return "", err
	}
	defer m.leave(call)
	exit, err := call.link.run(ctx, helloRequest(&out))
	if err != nil {
		return "", err
	}
	list, ok := listOf(string(out))
	if exit.Code != 0 || !ok {
		return "", t.fail(Config, PhaseExec, fmt.Errorf("the gateway on the host does not tell its list, but exits with %d, saying %q", exit.Code, clean(out)))
	}
	return list, nil
}

// listOf reads the answer to a helloRequest.
func listOf(answer string) (list string, ok bool) {
	first, _, _ := strings.Cut(answer, "\n")
	return strings.CutPrefix(first, "list ")
}

// disallowed returns the words in which a gateway has refused a command; "": none has.
func (s *session) disallowed() string {
	_, why, ok := bytes.Cut(s.everything(), []byte(gatewayRefusal))
	if !ok {
		return ""
	}
	line, _, _ := bytes.Cut(why, []byte("\n"))
	return clean(line)
}

// runs is what an account does not do that has not begun a command.
func (t Target) runs() string {
	if t.Gateway {
		return "run the gateway"
	}
	return "run commands"
}
