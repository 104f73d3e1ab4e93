package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"os/signal"
	"os/user"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"alf"
	"alf/api/wire"
	confd "alf/conf.d"
	"alf/config"
	"alf/internal/sshserver"
	"alf/state/memory"
)

func newDemo(*options) *cobra.Command {
	var listen string
	var once bool
	cmd := &cobra.Command{
		Use: "demo", Short: "Run a whole Alf with an SSH server of its own, nothing to install", Args: cobra.NoArgs,
		Long: `Run a whole Alf for real: an SSH server on loopback that takes only a key made for
it, the configuration that Alf ships, plugins that are sent over the connections,
and the status over HTTP. Nothing is installed, nothing is left behind.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			// It ends with its terminal, and cleans up when its reader has gone.
			ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGHUP)
			defer stop()
			signal.Ignore(syscall.SIGPIPE)
			d, err := newDemoHouse(listen)
			if err != nil {
				return err
			}
			defer d.remove()
			c, err := load(d.path("alf.toml"))
			if err != nil {
				return err
			}
			return d.with(ctx, func(ctx context.Context) error {
				if once {
					return runOnce(ctx, c, cmd.OutOrStdout(), cmd.ErrOrStderr())
				}
				d.greet(cmd.OutOrStdout(), c)
				return serve(ctx, c, cmd.ErrOrStderr(), nil)
			})
		},
	}
	cmd.Flags().StringVar(&listen, "listen", "127.0.0.1:5690", "serve the status on `ADDR`, a loopback address")
	cmd.Flags().BoolVar(&once, "once", false, "run every check once, print the table, and exit")
	return cmd
}

// demo is the SSH server and the configuration that a demo runs with.
type demo struct {
	dir      string
	listen   string
	server   *sshserver.Server
	listener net.Listener
}

// newDemoHouse makes all that a demo needs. The caller removes it.
func newDemoHouse(listen string) (*demo, error) {
	server, err := sshserver.New(sshserver.Options{})
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "alf-demo-")
	if err != nil {
		return nil, err
	}
	d := &demo{dir: dir, listen: listen, server: server}
	if d.listener, err = net.Listen("tcp", "127.0.0.1:0"); err == nil {
		err = d.write()
	}
	if err != nil {
		d.remove()
		return nil, err
	}
	return d, nil
}

func (d *demo) remove() {
	if d.listener != nil {
		d.listener.Close()
	}
	os.RemoveAll(d.dir)
}

// write writes the configuration: alf.toml for this demo, and the conf.d that
// Alf ships.
func (d *demo) write() error {
	me, err := user.Current()
	if err != nil {
		return err
	}
	port := d.listener.Addr().(*net.TCPAddr).Port
	main := fmt.Sprintf(`[daemon]
socket   = %q
data_dir = %q

[web]
listen = %q

[ssh]
user           = %q
port           = %d
identity_files = ["key"]
known_hosts    = ["known_hosts"]
`, d.path("alf.sock"), d.path("data"), d.listen, me.Username, port)
	return errors.Join(
		os.WriteFile(d.path("alf.toml"), []byte(main), 0o600),
		os.WriteFile(d.path("key"), d.server.ClientKey(), 0o600),
		os.WriteFile(d.path("known_hosts"), []byte(d.server.HostKeyLine("127.0.0.1", port)+"\n"), 0o600),
		os.Mkdir(d.path("conf.d"), 0o700),
		d.copyConfd(),
	)
}

func (d *demo) path(name string) string { return filepath.Join(d.dir, name) }

func (d *demo) copyConfd() error {
	return fs.WalkDir(confd.Files, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := confd.Files.ReadFile(name)
		if err != nil {
			return err
		}
		return os.WriteFile(d.path("conf.d/"+name), text, 0o600)
	})
}

// with runs f while the SSH server runs.
func (d *demo) with(ctx context.Context, f func(context.Context) error) error {
	serving, stop := context.WithCancel(context.WithoutCancel(ctx))
	var server sync.WaitGroup
	defer server.Wait()
	defer stop()
	server.Go(func() { d.server.Run(serving, d.listener) })
	return f(ctx)
}

func (d *demo) greet(w io.Writer, c *config.Config) {
	fmt.Fprintf(w, `Alf checks %s over SSH.

  status   http://%s
  command  %s --socket %s status
  files    %s

"replication lag" on db1 fails for half of every 80 seconds. Stop with Ctrl-C.

`, c.Counts, d.listen, os.Args[0], d.path("alf.sock"), d.dir)
}

// onceFor bounds how long all checks may take together.
const onceFor = 2 * time.Minute

// runOnce runs every check once, in a house that remembers nothing, and prints
// the table.
func runOnce(ctx context.Context, c *config.Config, stdout, stderr io.Writer) error {
	h, err := build(c, memory.New(memory.Options{}), newLogs(stderr, c.Daemon.LogFormat))
	if err != nil {
		return err
	}
	return h.once(ctx, stdout)
}

func (h *house) once(ctx context.Context, stdout io.Writer) error {
	ctx, cancel := context.WithTimeout(ctx, onceFor)
	defer cancel()
	ctx, fail := context.WithCancelCause(ctx)
	var line sync.WaitGroup
	line.Go(func() { h.check(ctx, fail) })
	err := h.checkAll(ctx)
	fail(nil)
	line.Wait()
	if err != nil {
		return err
	}
	return h.print(stdout)
}

// checkAll runs every check now and returns when each has a result.
func (h *house) checkAll(ctx context.Context) error {
	for _, s := range h.inventory().Services() {
		if !s.Scheduled() {
			continue
		}
		if _, err := h.checker.Submit(ctx, alf.Command{Verb: alf.Recheck, Key: s.Key}); err != nil {
			return err
		}
	}
	for _, s := range h.inventory().Services() {
		if err := h.waitFor(ctx, s); err != nil {
			return fmt.Errorf("wait for %q: %w", s.Key, err)
		}
	}
	return nil
}

// waitFor returns when s has a result, if it is one that is run.
func (h *house) waitFor(ctx context.Context, s *alf.Service) error {
	for s.Scheduled() {
		last := h.view.Last()
		if e := h.view.Head(s.Key); e != nil && e.Result != nil {
			return nil
		}
		if err := h.view.Wait(ctx, last+1); err != nil {
			return err
		}
	}
	return nil
}

func (h *house) print(w io.Writer) error {
	var rows []wire.Service
	for _, s := range h.inventory().Services() {
		rows = append(rows, wire.NewService(s, h.view.Head(s.Key)))
	}
	return writeServices(w, rows)
}
