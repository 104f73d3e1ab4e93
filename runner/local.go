package runner

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"alf"
)

const (
	termGrace   = time.Second // between TERM and KILL
	outputGrace = time.Second // for output that a child of the plugin still holds open
)

// The return codes that a shell gives where there is nothing to run.
const (
	codeNotExecutable = 126
	codeNotFound      = 127
)

// local runs commands beside Alf, in process groups of their own.
type local struct {
	env        []string
	path       string
	credential *syscall.Credential // nil: Alf's own
}

func newLocal(account string) (*local, error) {
	u, err := user.Current()
	if account != "" {
		u, err = user.Lookup(account)
	}
	if err != nil {
		return nil, fmt.Errorf("local_user %q: %w", account, err)
	}
	l := &local{path: os.Getenv("PATH")}
	if l.path == "" {
		l.path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
	}
	// Nothing else of Alf's environment is handed on: it may hold secrets.
	l.env = []string{"PATH=" + l.path, "HOME=" + u.HomeDir, "USER=" + u.Username, "LOGNAME=" + u.Username, "SHELL=/bin/sh"}
	if account != "" {
		l.credential, err = credential(u)
	}
	return l, err
}

func credential(u *user.User) (*syscall.Credential, error) {
	if u.Uid == strconv.Itoa(os.Getuid()) {
		return nil, nil
	}
	if os.Getuid() != 0 {
		return nil, fmt.Errorf("local_user %q: only root may run plugins as somebody else", u.Username)
	}
	names, err := u.GroupIds()
	if err != nil {
		return nil, fmt.Errorf("groups of local_user %q: %w", u.Username, err)
	}
	c := &syscall.Credential{Uid: id(u.Uid), Gid: id(u.Gid)}
	for _, name := range names {
		c.Groups = append(c.Groups, id(name))
	}
	return c, nil
}

// id reads a number that the system's own account database gave.
func id(s string) uint32 {
	n, _ := strconv.ParseUint(s, 10, 32)
	return uint32(n)
}

func (l *local) run(ctx context.Context, e alf.Execution) (alf.Exit, error) {
	argv := e.Argv
	if e.Shell != "" {
		argv = []string{"/bin/sh", "-c", e.Shell}
	}
	if len(argv) == 0 {
		return alf.Exit{}, &alf.RunError{Cause: alf.CauseConfig, Err: errors.New("there is nothing to run")}
	}
	if err := enterable(e.Dir); err != nil {
		return alf.Exit{}, &alf.RunError{Cause: alf.CauseConfig, Phase: "dir", Err: err}
	}
	file, err := l.find(argv[0], e.Path)
	if err != nil {
		return notRun(e, err)
	}
	limited, cancel := ctx, context.CancelFunc(func() {})
	if e.Limit > 0 {
		limited, cancel = context.WithTimeout(ctx, e.Limit)
	}
	defer cancel()
	return l.wait(ctx, limited, l.command(limited, file, argv, e), e)
}

func (l *local) command(ctx context.Context, file string, argv []string, e alf.Execution) *exec.Cmd {
	c := exec.CommandContext(ctx, file)
	c.Args = argv
	c.Dir, c.Stdin, c.Stdout, c.Stderr = e.Dir, e.Stdin, e.Stdout, e.Stderr
	c.Env = append(append(l.env[:len(l.env):len(l.env)], "PATH="+l.searchPath(e.Path)), e.Env...)
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Credential: l.credential}
	c.WaitDelay = termGrace + outputGrace
	return c
}

func (l *local) searchPath(first []string) string {
	return strings.Join(append(first[:len(first):len(first)], l.path), ":")
}

// wait runs c to its end. When its time is up, the whole group is ended.
func (l *local) wait(ctx, limited context.Context, c *exec.Cmd, e alf.Execution) (alf.Exit, error) {
	var kill *time.Timer
	c.Cancel = func() error {
		group := -c.Process.Pid
		kill = time.AfterFunc(termGrace, func() { syscall.Kill(group, syscall.SIGKILL) })
		return syscall.Kill(group, syscall.SIGTERM)
	}
	exit := alf.Exit{Start: time.Now()}
	if err := c.Start(); err != nil {
		return notRun(e, err)
	}
	err := c.Wait()
	exit.End = time.Now()
	if kill != nil { // whoever of the group is left had its second
		kill.Stop()
		syscall.Kill(-c.Process.Pid, syscall.SIGKILL)
	}
	switch {
	case ctx.Err() != nil:
		return exit, &alf.RunError{Cause: alf.CauseTransport, Err: context.Cause(ctx)}
	case limited.Err() != nil && kill != nil:
		return exit, &alf.RunError{Cause: alf.CauseTimeout, Err: fmt.Errorf("not ended within %s", e.Limit)}
	case c.ProcessState == nil:
		return exit, &alf.RunError{Cause: alf.CauseConfig, Err: err}
	}
	ended(&exit, c.ProcessState)
	return exit, nil
}

func ended(exit *alf.Exit, s *os.ProcessState) {
	exit.Code = s.ExitCode()
	if w, ok := s.Sys().(syscall.WaitStatus); ok && w.Signaled() {
		exit.Signal = signalName(w.Signal())
	}
}

// find looks for name as a shell would, in first and then in PATH.
func (l *local) find(name string, first []string) (string, error) {
	if strings.Contains(name, "/") {
		return name, executable(name)
	}
	err := fmt.Errorf("%s: %w", name, fs.ErrNotExist)
	for _, dir := range filepath.SplitList(l.searchPath(first)) {
		file := filepath.Join(dir, name)
		switch e := executable(file); {
		case e == nil:
			return file, nil
		case errors.Is(e, errNotExecutable): // it is there; a folder that Alf may not search is as good as empty
			err = e
		}
	}
	return "", err
}

var errNotExecutable = errors.New("is not executable")

func executable(file string) error {
	info, err := os.Stat(file)
	if err == nil && (info.IsDir() || info.Mode()&0o111 == 0) {
		err = fmt.Errorf("%s %w", file, errNotExecutable)
	}
	return err
}

// enterable reports why a plugin could not run in dir.
func enterable(dir string) error {
	if dir == "" {
		return nil
	}
	info, err := os.Stat(dir)
	if err == nil && !info.IsDir() {
		err = fmt.Errorf("%s: %w", dir, syscall.ENOTDIR)
	}
	return err
}

// notRun answers as a shell does if the file is what cannot be run. If Alf
// lacks what it takes to start any, that says nothing about the service.
func notRun(e alf.Execution, err error) (alf.Exit, error) {
	now := time.Now()
	exit := alf.Exit{Start: now, End: now}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		exit.Code = codeNotFound
	case errors.Is(err, errNotExecutable), errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.ENOEXEC):
		exit.Code = codeNotExecutable
	default:
		return alf.Exit{}, &alf.RunError{Cause: alf.CauseConfig, Phase: "start", Err: fmt.Errorf("cannot start a process: %w", err)}
	}
	if e.Stderr != nil {
		fmt.Fprintln(e.Stderr, err)
	}
	return exit, nil
}

// signalName returns the name of s without SIG, as SSH has it (RFC 4254, 6.10).
func signalName(s syscall.Signal) string {
	names := map[syscall.Signal]string{
		syscall.SIGABRT: "ABRT", syscall.SIGALRM: "ALRM", syscall.SIGFPE: "FPE", syscall.SIGHUP: "HUP",
		syscall.SIGILL: "ILL", syscall.SIGINT: "INT", syscall.SIGKILL: "KILL", syscall.SIGPIPE: "PIPE",
		syscall.SIGQUIT: "QUIT", syscall.SIGSEGV: "SEGV", syscall.SIGTERM: "TERM",
		syscall.SIGUSR1: "USR1", syscall.SIGUSR2: "USR2", syscall.SIGBUS: "BUS", syscall.SIGSYS: "SYS",
	}
	if name, ok := names[s]; ok {
		return name
	}
	return strconv.Itoa(int(s))
}
