package sshserver

import (
	"errors"
	"io"
	"os"
	"os/exec"
	"os/user"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"golang.org/x/crypto/ssh"
)

// signals are those that the protocol has a name for (RFC 4254, section 6.10).
var signals = map[ssh.Signal]syscall.Signal{
	ssh.SIGABRT: syscall.SIGABRT, ssh.SIGALRM: syscall.SIGALRM, ssh.SIGFPE: syscall.SIGFPE, ssh.SIGHUP: syscall.SIGHUP,
	ssh.SIGILL: syscall.SIGILL, ssh.SIGINT: syscall.SIGINT, ssh.SIGKILL: syscall.SIGKILL, ssh.SIGPIPE: syscall.SIGPIPE,
	ssh.SIGQUIT: syscall.SIGQUIT, ssh.SIGSEGV: syscall.SIGSEGV, ssh.SIGTERM: syscall.SIGTERM,
	ssh.SIGUSR1: syscall.SIGUSR1, ssh.SIGUSR2: syscall.SIGUSR2,
}

// signalName returns the protocol's name of a signal, for others the one that sshd sends.
func signalName(number syscall.Signal) string {
	for name, n := range signals {
		if n == number {
			return string(name)
		}
	}
	return "SIG@openssh.com"
}

// environment returns the variables that every command gets: those of a login, and nothing of this process.
func environment(shell string) []string {
	name, home := strconv.Itoa(os.Getuid()), "/"
	if u, err := user.Current(); err == nil {
		name, home = u.Username, u.HomeDir
	}
	return []string{
		"USER=" + name, "LOGNAME=" + name, "HOME=" + home, "SHELL=" + shell,
		"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
	}
}

// session serves one channel to its end, and with it the one command that it may run. It calls release when the
// command has ended, before the client can learn of it: the client may at once open another channel.
func (s *Server) session(channel ssh.Channel, requests <-chan *ssh.Request, env []string, release func()) {
	var c *command
	for r := range requests {
		switch {
		case r.Type == "exec" && c == nil:
			c = s.exec(channel, r, env, release)
		case r.Type == "signal" && c != nil:
			_ = r.Reply(c.signalByName(r.Payload), nil)
		default: // env, shell, pty-req, subsystem, agent and X11 forwarding, a second exec
			_ = r.Reply(false, nil)
		}
	}
	// The client has closed the channel, or the connection is gone. sshd would let the command run on.
	if c == nil {
		release()
		_ = channel.Close()
		return
	}
	c.abandon()
	c.wait()
}

// exec starts the command that r asks for, and serves it in the background. It returns nil if it could not start.
func (s *Server) exec(channel ssh.Channel, r *ssh.Request, env []string, release func()) *command {
	var request struct{ Command string }
	err := ssh.Unmarshal(r.Payload, &request)
	var c *command
	if err == nil {
		c, err = start(s.shell, request.Command, env)
	}
	if err != nil {
		s.log.Warn("command did not start", "room", "sshserver", "err", err)
		_ = r.Reply(false, nil)
		return nil
	}
	_ = r.Reply(true, nil)
	c.serve(channel, release)
	return c
}

// command is a running command, with our ends of its pipes.
type command struct {
	cmd            *exec.Cmd
	stdin          io.WriteCloser
	stdout, stderr io.ReadCloser
	goroutines     sync.WaitGroup // those that serve it

	mu   sync.Mutex
	gone bool // nobody is left in the process group
}

// start runs line by the shell, in a session and process group of its own as sshd does.
func start(shell, line string, env []string) (*command, error) {
	c := &command{cmd: exec.Command(shell, "-c", line)}
	c.cmd.Env = env
	c.cmd.Dir = home(env)
	c.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	var errs [3]error
	c.stdin, errs[0] = c.cmd.StdinPipe()
	c.stdout, errs[1] = c.cmd.StdoutPipe()
	c.stderr, errs[2] = c.cmd.StderrPipe()
	if err := errors.Join(errs[:]...); err != nil {
		return nil, err
	}
	if err := c.cmd.Start(); err != nil {
		return nil, err
	}
	return c, nil
}

// home returns the folder in which commands start: the home in env, or the root if there is none.
func home(env []string) string {
	for _, v := range env {
		if dir, ok := strings.CutPrefix(v, "HOME="); ok {
			if info, err := os.Stat(dir); err == nil && info.IsDir() {
				return dir
			}
		}
	}
	return "/"
}

// serve connects the command with channel, and closes channel when the command has ended. It returns at once.
func (c *command) serve(channel ssh.Channel, release func()) {
	var output sync.WaitGroup
	output.Go(func() { _, _ = io.Copy(channel, c.stdout) })
	output.Go(func() { _, _ = io.Copy(channel.Stderr(), c.stderr) })
	c.goroutines.Go(func() { // to the end of the channel, or of what the command reads
		_, _ = io.Copy(c.stdin, channel)
		_ = c.stdin.Close()
	})
	c.goroutines.Go(func() {
		// Not cmd.Wait, which closes the pipes before all is read. As with sshd the status goes out at once, and
		// the output stays open until the last child that holds it has ended.
		status, err := c.cmd.Process.Wait()
		c.signal(0)
		if err == nil {
			reportExit(channel, status.Sys().(syscall.WaitStatus))
		}
		output.Wait()
		c.abandon()
		_ = channel.CloseWrite()
		release()
		_ = channel.Close()
	})
}

// wait returns when the command and all that serves it have ended, which takes a closed channel.
func (c *command) wait() { c.goroutines.Wait() }

// reportExit tells the client how the command has ended.
func reportExit(channel ssh.Channel, status syscall.WaitStatus) {
	if !status.Signaled() {
		_, _ = channel.SendRequest("exit-status", false, ssh.Marshal(struct{ Status uint32 }{uint32(status.ExitStatus())}))
		return
	}
	_, _ = channel.SendRequest("exit-signal", false, ssh.Marshal(struct {
		Signal     string
		CoreDumped bool
		Message    string
		Language   string
	}{signalName(status.Signal()), status.CoreDump(), "", ""}))
}

// abandon kills the process group and stops waiting for output: a child that has left the group may still hold it.
func (c *command) abandon() {
	c.signal(syscall.SIGKILL)
	_ = c.stdin.Close()
	_ = c.stdout.Close()
	_ = c.stderr.Close()
}

// signalByName delivers the signal that the payload of a signal request names, and tells whether it did.
func (c *command) signalByName(payload []byte) bool {
	var request struct{ Name string }
	if ssh.Unmarshal(payload, &request) != nil {
		return false
	}
	number, ok := signals[ssh.Signal(request.Name)]
	return ok && c.signal(number)
}

// signal delivers a signal to the process group, or asks with 0 whether anybody is left in it. A group that was once
// found empty gets no more: its number may by then be that of strangers.
func (c *command) signal(number syscall.Signal) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.gone {
		return false
	}
	err := syscall.Kill(-c.cmd.Process.Pid, number)
	c.gone = errors.Is(err, syscall.ESRCH)
	return err == nil
}
