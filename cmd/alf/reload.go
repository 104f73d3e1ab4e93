package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	"alf"
	"alf/api"
	"alf/api/wire"
	"alf/checker"
	"alf/config"
)

// reloads remembers how the last reload went.
type reloads struct {
	one sync.Mutex // one reload at a time

	mu       sync.Mutex    // guards what follows
	err      error         // why the last one was refused; nil: it was good
	lastOK   time.Time     // when the configuration that runs was read
	took     time.Duration // and how long that took; 0: not known
	failures float64
}

func (r *reloads) refuse(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.err = err
	r.failures++
}

func (r *reloads) accept(took time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.err, r.lastOK, r.took = nil, time.Now(), took
}

// adopt makes c, which was read in that time, the configuration that all rooms
// read.
func (h *house) adopt(c *config.Config, took time.Duration) {
	h.config.Store(c)
	h.logs.set(c.Daemon.LogLevel, c.Daemon.LogLevels)
	for _, w := range c.Warnings {
		h.logs.room("main").Warn("configuration", "err", w)
	}
	if err := h.actions.Adopt(c.Actions); err != nil {
		h.logs.room("main").Error("an action cannot be made", "err", err)
	}
	h.loaded.accept(took)
}

// plan is what a reload would do.
type plan struct {
	config  *config.Config
	took    time.Duration // to read it
	diff    *checker.Difference
	refused error              // why it is not done without force; nil: it is
	restart []string           // settings that differ and would have to wait for the next start
	tables  []wire.ConfigTable // actions and contacts that differ
}

// plan reads the configuration, with the fresh answers of sources, and compares it
// with the one that runs. The error is that of the files.
func (h *house) plan(fresh map[string]config.Answer) (*plan, error) {
	began := time.Now()
	c, err := h.roster.load(h.started.File, fresh)
	if err != nil {
		return nil, err
	}
	c = withOwn(c)
	p := &plan{config: c, took: time.Since(began), diff: checker.Compare(h.inventory(), c.Inventory), restart: h.needRestart(c), tables: tables(h.config.Load(), c)}
	p.refused = errors.Join(losing(h.inventory(), c), newRemoval(p.diff, h.inventory()).refusal(c.Daemon.MaxRemoved))
	return p, nil
}

// reload reads the configuration again. If it is wrong, or too much would
// disappear, the old one goes on. Otherwise all rooms go over to it, whether or
// not the caller waits for it.
func (h *house) reload(ctx context.Context, order api.ReloadOrder) error {
	fresh := h.roster.gather(ctx, h.started.File)
	defer h.tell(ctx, "configuration")
	err := h.carryOut(ctx, order, fresh)
	if err != nil {
		what := "the configuration is wrong, the old one goes on"
		if _, ok := errors.AsType[*refusal](err); ok {
			what, err = "the configuration is refused, the old one goes on", forced(err)
		}
		h.loaded.refuse(err)
		h.logs.room("main").Error(what, "config", h.started.File, "err", err)
	}
	return err
}

// refusal is why a reload is not done without force.
type refusal struct{ error }

// takeAnswers is reload because sources have said something new. If that is
// refused, it is their failure, and not one of the files.
func (h *house) takeAnswers(ctx context.Context, order api.ReloadOrder, fresh map[string]config.Answer) error {
	err := h.carryOut(ctx, order, fresh)
	if err == nil {
		h.tell(ctx, "configuration")
	}
	return err
}

// carryOut goes over to what the files and the sources say.
func (h *house) carryOut(ctx context.Context, order api.ReloadOrder, fresh map[string]config.Answer) error {
	h.loaded.one.Lock()
	defer h.loaded.one.Unlock()
	ctx = context.WithoutCancel(ctx)
	log := h.logs.room("main")
	p, err := h.plan(fresh)
	if err != nil {
		return err
	}
	if p.refused != nil && !order.Force {
		return &refusal{p.refused}
	}
	for _, what := range p.restart {
		log.Warn("takes effect at the next start", "setting", what)
	}
	diff, err := h.checker.Apply(ctx, p.diff, order.Author)
	if err != nil {
		return err
	}
	h.adopt(p.config, p.took)
	h.roster.adopt(p.config)
	h.runner.Retain(p.config.Inventory)
	log.Info("reloaded", "config", h.started.File, "found", p.config.Counts.String(), "services", diff.String())
	return nil
}

// diff says what a reload would do.
func (h *house) diff(ctx context.Context) (*wire.ConfigDiff, error) {
	fresh := h.roster.gather(ctx, h.started.File)
	h.loaded.one.Lock()
	defer h.loaded.one.Unlock()
	p, err := h.plan(fresh)
	if err != nil {
		return nil, err
	}
	n := p.diff.Counts()
	d := &wire.ConfigDiff{
		Differs: !p.diff.Empty() || len(p.restart) > 0 || len(p.tables) > 0,
		Counts:  wire.ConfigCounts{Added: n.Added, Removed: n.Removed, Changed: n.Changed, Renamed: n.Renamed, Kept: n.Kept},
		Restart: append([]string{}, p.restart...),
		Tables:  append([]wire.ConfigTable{}, p.tables...),
		Added:   wire.NewConfigKeys(p.diff.Added), Removed: wire.NewConfigKeys(p.diff.Removed),
		Warnings: []wire.Text{}, Changed: []wire.ConfigChanged{},
		Renamed: renamings(p.diff.Renamed), Returning: renamings(h.checker.Returning(ctx, p.diff)),
	}
	if p.refused != nil {
		d.Refused = wire.Text(forced(p.refused).Error())
	}
	for _, w := range p.config.Warnings {
		d.Warnings = append(d.Warnings, wire.Text(w.Error()))
	}
	for _, c := range p.diff.Changed {
		changed := wire.ConfigChanged{ConfigKey: wire.NewConfigKey(c.Key), Settings: []wire.ConfigSetting{}}
		for _, s := range c.Settings() {
			changed.Settings = append(changed.Settings, wire.ConfigSetting{Name: s.Name, From: wire.Text(s.From), To: wire.Text(s.To)})
		}
		d.Changed = append(d.Changed, changed)
	}
	return d, nil
}

func renamings(all []checker.Renamed) []wire.ConfigRenamed {
	out := make([]wire.ConfigRenamed, len(all))
	for i, r := range all {
		out[i] = wire.ConfigRenamed{From: wire.NewConfigKey(r.From), To: wire.NewConfigKey(r.To)}
	}
	return out
}

// tables returns the actions and contacts of next that differ from those of prev.
func tables(prev, next *config.Config) []wire.ConfigTable {
	return append(differ("action", actionsOf(prev), actionsOf(next)), differ("contact", contactsOf(prev), contactsOf(next))...)
}

func actionsOf(c *config.Config) map[string]any {
	all := make(map[string]any)
	for _, a := range c.Actions {
		a.Where = alf.Position{}
		all[a.Name] = a
	}
	return all
}

func contactsOf(c *config.Config) map[string]any {
	all := make(map[string]any)
	for name, x := range c.Inventory.Contacts() {
		plain := *x
		plain.Where = alf.Position{}
		all[name] = plain
	}
	return all
}

// differ compares the tables of one kind.
func differ(kind string, prev, next map[string]any) []wire.ConfigTable {
	names := make(map[string]bool)
	for name := range prev {
		names[name] = true
	}
	for name := range next {
		names[name] = true
	}
	var out []wire.ConfigTable
	for _, name := range slices.Sorted(maps.Keys(names)) {
		was, before := prev[name]
		is, after := next[name]
		switch {
		case !before:
			out = append(out, wire.ConfigTable{Name: kind + "." + name, Change: "added"})
		case !after:
			out = append(out, wire.ConfigTable{Name: kind + "." + name, Change: "removed"})
		case !reflect.DeepEqual(was, is):
			out = append(out, wire.ConfigTable{Name: kind + "." + name, Change: "changed"})
		}
	}
	return out
}

// removal is what a reload would remove. Services that go with their host are
// counted with it.
type removal struct {
	hosts, services []alf.Key
	added           bool // there are hosts that were not there
	allHosts        int  // that there are
	allServices     int
}

func newRemoval(d *checker.Difference, v *alf.Inventory) removal {
	var r removal
	gone := make(map[alf.HostName]bool)
	for _, key := range d.Removed {
		switch {
		case key.IsHost():
			gone[key.Host] = true
			r.hosts = append(r.hosts, key)
		case !gone[key.Host]: // a host comes before its services
			r.services = append(r.services, key)
		}
	}
	r.added = slices.ContainsFunc(d.Added, alf.Key.IsHost)
	for _, s := range v.Services() {
		switch {
		case s.Own():
		case s.Key.IsHost():
			r.allHosts++
		default:
			r.allServices++
		}
	}
	return r
}

// What a percentage always lets a reload remove, so that small configurations can
// be changed at all.
const (
	leastHosts    = 1
	leastServices = 10 // of hosts that stay
)

// refusal returns why so much may not be removed at once; nil: it may.
func (r removal) refusal(most config.Share) error {
	if most.Percent == 100 {
		return nil
	}
	if len(r.hosts) > 0 && len(r.hosts) == r.allHosts && !r.added {
		return errors.New("no hosts are left in the configuration")
	}
	hosts, services := most.Of(r.allHosts, leastHosts), most.Of(r.allServices, leastServices)
	var over []string
	if len(r.hosts) > hosts {
		over = append(over, fmt.Sprintf("%d of %d hosts would be removed (%s), and max_removed = %q allows %d at a time",
			len(r.hosts), r.allHosts, firstOf(r.hosts), most, hosts))
	}
	if len(r.services) > services {
		over = append(over, fmt.Sprintf("%d of %d services would be removed from hosts that stay (%s), and max_removed = %q allows %d at a time",
			len(r.services), r.allServices, firstOf(r.services), most, services))
	}
	if over == nil {
		return nil
	}
	return errors.New(strings.Join(over, "; "))
}

// forced adds to a refusal how it is done all the same.
func forced(err error) error {
	return fmt.Errorf("%w; if that is meant, use alf reload --force; alf config diff shows all of it", err)
}

// firstOf names the first of keys and counts the others.
func firstOf(keys []alf.Key) string {
	const shown = 3
	var names []string
	for _, key := range keys[:min(shown, len(keys))] {
		names = append(names, key.String())
	}
	text := strings.Join(names, ", ")
	if n := len(keys) - shown; n > 0 {
		text += fmt.Sprintf(" and %d more", n)
	}
	return text
}

// needRestart names the settings of c that differ from those that Alf was
// started with and cannot be changed while it runs.
func (h *house) needRestart(c *config.Config) []string {
	was := h.started
	var names []string
	f := func(name string, differs bool) {
		if differs {
			names = append(names, name)
		}
	}
	f("[daemon] socket", was.Daemon.Socket != c.Daemon.Socket)
	f("[daemon] log_format", was.Daemon.LogFormat != c.Daemon.LogFormat)
	f("[daemon] local_user", was.Daemon.LocalUser != c.Daemon.LocalUser)
	f("[daemon] data_dir", was.Daemon.DataDir != c.Daemon.DataDir)
	f("[journal]", was.Journal != c.Journal)
	f("[daemon] max_concurrent_checks", was.Daemon.MaxConcurrentChecks != c.Daemon.MaxConcurrentChecks)
	f("[daemon] max_checks_per_host", was.Daemon.MaxChecksPerHost != c.Daemon.MaxChecksPerHost)
	f("[daemon] host_down_disable_service_checks", was.Daemon.HostDownDisablesChecks != c.Daemon.HostDownDisablesChecks)
	f("[daemon] keep_removed", was.Daemon.KeepRemoved != c.Daemon.KeepRemoved)
	f("[daemon] reload_on_change", was.Daemon.ReloadOnChange != c.Daemon.ReloadOnChange)
	f("[ssh] dial_rate", was.Dialling.Rate != c.Dialling.Rate)
	f("[ssh] max_dials", was.Dialling.Most != c.Dialling.Most)
	f("[ssh] keepalive_interval", was.Dialling.KeepaliveInterval != c.Dialling.KeepaliveInterval)
	f("[ssh] keepalive_count", was.Dialling.KeepaliveCount != c.Dialling.KeepaliveCount)
	f("[web] listen", was.Web.Listen != c.Web.Listen)
	f("[nagios]", was.Nagios != c.Nagios)
	f("[web] allowed_hosts", !slices.Equal(was.Web.AllowedHosts, c.Web.AllowedHosts))
	return names
}

// reloadOn reloads at every signal until ctx ends.
func (h *house) reloadOn(ctx context.Context, signals <-chan os.Signal) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-signals:
			_ = h.reload(ctx, api.ReloadOrder{Author: "SIGHUP"}) // it was logged
		}
	}
}
