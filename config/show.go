package config

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/BurntSushi/toml"

	"alf"
)

// Show prints what applies, as TOML for people to read, with Redacted for every
// secret: everything, or one host and its services, or one service. The
// services stand in tables [service."HOST!SERVICE"], which a configuration does
// not have.
func (c *Config) Show(w io.Writer, host alf.HostName, service alf.ServiceName) error {
	out := bufio.NewWriter(w)
	p := &printer{w: out, inventory: c.Inventory, from: c.origins}
	switch {
	case host == "":
		p.all(c)
	case service == "":
		if err := p.host(c, host); err != nil {
			return err
		}
	default:
		if err := p.oneService(c, alf.Key{Host: host, Service: service}); err != nil {
			return err
		}
	}
	return out.Flush()
}

// printer prints settings as TOML. Its writer keeps the first error.
type printer struct {
	w         *bufio.Writer
	inventory *alf.Inventory
	from      *provenance // nil: where values come from is not told
	origins   origins     // of what is printed now
	at        origins     // of the table that is
}

func (p *printer) all(c *Config) {
	p.daemon(c.Daemon)
	p.journal(c.Journal)
	p.table("web")
	p.set("listen", cmp.Or(c.Web.Listen, "none"))
	p.list("allowed_hosts", c.Web.AllowedHosts)
	p.table("ssh")
	p.set("dial_rate", c.Dialling.Rate)
	p.set("max_dials", c.Dialling.Most)
	p.set("keepalive_interval", c.Dialling.KeepaliveInterval)
	p.set("keepalive_count", c.Dialling.KeepaliveCount)
	p.nagios(c.Nagios)
	p.sources(c.Sources)
	p.actions(c)
	for _, h := range c.Inventory.Hosts() {
		p.hostAndServices(c, h)
	}
}

func (p *printer) daemon(d Daemon) {
	p.table("daemon")
	p.set("socket", d.Socket)
	p.set("log_format", d.LogFormat)
	p.set("log_level", level(d.LogLevel))
	p.set("max_concurrent_checks", d.MaxConcurrentChecks)
	p.set("max_checks_per_host", d.MaxChecksPerHost)
	p.set("data_dir", d.DataDir)
	p.optional("local_user", d.LocalUser)
	p.set("host_down_disable_service_checks", d.HostDownDisablesChecks)
	p.set("max_removed", d.MaxRemoved.String())
	p.set("keep_removed", d.KeepRemoved)
	p.set("reload_on_change", d.ReloadOnChange)
	if d.SoftStateDependencies {
		p.set("soft_state_dependencies", true)
	}
	if len(d.LogLevels) > 0 {
		p.table("daemon", "log_levels")
		for _, room := range slices.Sorted(maps.Keys(d.LogLevels)) {
			p.set(room, level(d.LogLevels[room]))
		}
	}
}

func (p *printer) journal(j Journal) {
	p.table("journal")
	p.optional("url", j.URL)
	p.optional("credentials", j.Credentials)
	p.optional("ca", j.CA)
	p.optional("cert", j.Cert)
	p.optional("key", j.Key)
	if j.URL != "" {
		p.set("replicas", j.Replicas)
	}
	p.set("history", j.History)
	p.set("retention", j.Retention)
	p.set("max_bytes", j.MaxBytes)
	p.set("log_retention", j.LogRetention)
	p.set("log_max_bytes", j.LogMaxBytes)
	if j.SyncAlways {
		p.set("sync", syncAlways)
	} else {
		p.set("sync", syncSecond)
	}
}

func (p *printer) nagios(n Nagios) {
	if n.CommandFile != "" {
		p.table("nagios")
		p.set("command_file", n.CommandFile)
		p.optional("command_file_group", n.CommandFileGroup)
	}
}

func level(l slog.Level) string { return strings.ToLower(l.String()) }

func (p *printer) host(c *Config, name alf.HostName) error {
	h := c.Inventory.Host(name)
	if h == nil {
		return unknownHost(c.Inventory, name)
	}
	p.hostAndServices(c, h)
	return nil
}

func unknownHost(v *alf.Inventory, name alf.HostName) error {
	var known []string
	for _, h := range v.Hosts() {
		known = append(known, string(h.Name))
	}
	return fmt.Errorf("there is no host %q%s", name, didYouMean(string(name), known))
}

func (p *printer) oneService(c *Config, key alf.Key) error {
	if c.Inventory.Host(key.Host) == nil {
		return unknownHost(c.Inventory, key.Host)
	}
	if s := c.Inventory.Service(key); s != nil {
		p.service(s)
		return nil
	}
	var known []string
	for _, s := range c.Inventory.On(key.Host) {
		known = append(known, string(s.Key.Service))
	}
	return fmt.Errorf("host %q has no service %q%s", key.Host, key.Service, didYouMean(string(key.Service), known))
}

func (p *printer) hostAndServices(c *Config, h *alf.Host) {
	name := string(h.Name)
	if p.from != nil {
		p.origins = p.from.host(h.Name)
	}
	p.place(h.Where)
	p.table("host", name)
	p.set("address", h.Address)
	p.optional("alias", h.Alias)
	p.list("hostgroups", h.Hostgroups)
	if len(h.Parents) > 0 {
		p.list("parents", textsOf(h.Parents))
	}
	p.optional("notes_url", h.NotesURL)
	p.optional("renamed_from", string(h.RenamedFrom))
	p.ownCheck(c.Inventory.Service(alf.Key{Host: h.Name}))
	p.table("host", name, "ssh")
	p.ssh(h.SSH)
	if len(h.Vars) > 0 {
		p.table("host", name, "vars")
		p.vars(h.Vars)
	}
	for _, s := range c.Inventory.On(h.Name) {
		p.service(s)
	}
}

func (p *printer) ownCheck(s *alf.Service) {
	if s.Builtin != "" {
		p.set("check_command", s.Builtin)
	} else {
		p.command("check_command", s)
	}
	if s.Builtin != alf.CheckNone {
		p.schedule(s)
		p.restless(s)
		p.bonds(s)
	}
}

func (p *printer) ssh(s alf.SSH) {
	p.set("user", s.User)
	p.set("port", s.Port)
	p.list("identity_files", s.IdentityFiles)
	p.optional("passphrase", s.Passphrase.String())
	if len(s.Certificates) > 0 {
		p.list("certificate_files", s.Certificates)
	}
	p.set("agent", s.Agent)
	p.optional("password", s.Password.String())
	p.list("known_hosts", s.KnownHosts)
	p.set("host_key_policy", s.HostKeyPolicy)
	p.optional("host_key_alias", s.HostKeyAlias)
	p.set("connect_timeout", s.ConnectTimeout)
	p.set("max_sessions", s.MaxSessions)
	p.set("gateway", s.Gateway)
	p.set("prefetch", s.Prefetch)
	p.set("idle_timeout", s.IdleTimeout)
	if s.Via != nil {
		p.list("proxy_jump", jumpNames(s))
	}
}

func (p *printer) vars(vars map[string]alf.Value) {
	for _, name := range slices.Sorted(maps.Keys(vars)) {
		if v := vars[name]; v.List != nil && !v.Secret {
			p.list(name, v.List)
		} else {
			p.set(name, v.String())
		}
	}
}

func (p *printer) service(s *alf.Service) {
	if p.from != nil {
		p.origins = p.from.service(s.Key)
	}
	p.place(s.Where, s.Overridden...)
	p.table("service", s.Key.String())
	if s.IsLink() {
		p.set("check_command", s.Builtin)
		p.schedule(s)
		p.restless(s)
		return
	}
	p.uses(s.Key)
	p.set("check", s.Check)
	if s.Passive {
		p.set("passive", true)
	} else {
		p.active(s)
	}
	p.times(s)
	p.set("max_output", s.MaxOutput)
	p.set("metric", s.Metric)
	p.optional("notes_url", s.NotesURL)
	p.optional("renamed_from", string(s.RenamedFrom))
	if s.Volatile {
		p.set("is_volatile", true)
	}
	p.restless(s)
	p.bonds(s)
	p.judging(s)
	if len(s.Env) > 0 {
		p.table("service", s.Key.String(), "env")
		for _, e := range s.Env {
			p.set(e.Name, e.Value.String())
		}
	}
}

// uses prints the variables that a service uses, and where they stand.
func (p *printer) uses(key alf.Key) {
	if p.from == nil {
		return
	}
	for _, u := range p.from.used(key) {
		fmt.Fprintf(p.w, "# $%s$ is %s  # %s\n", u.name, quote(u.value.String()), p.from.where(u.at))
	}
}

// active prints what is run, where and for how long.
func (p *printer) active(s *alf.Service) {
	if s.Script != "" {
		p.set("script", s.Script)
		p.templates("args", s.Argv)
	} else {
		p.command("command", s)
	}
	p.set("run", runsOn(s))
	p.list("plugin_dir", s.Path)
	p.optional("cwd", s.Dir)
	if s.Stdin != nil {
		p.set("stdin", s.Stdin.String())
	}
	p.set("check_timeout", s.Timeout)
	p.set("timeout_state", strings.ToLower(s.TimeoutStatus.String()))
	if s.BadExitStatus == alf.Critical {
		p.set("compat", compatNagios)
	}
}

// runsOn says where a service runs, as run does.
func runsOn(s *alf.Service) string {
	switch s.On {
	case nil:
		return runLocal
	case s.Host:
		return runRemote
	}
	return string(s.On.Name)
}

func (p *printer) command(key string, s *alf.Service) {
	if s.Shell != nil {
		p.set(key, s.Shell.String())
		return
	}
	p.templates(key, s.Argv)
}

func (p *printer) templates(key string, ts []alf.Template) {
	texts := make([]string, len(ts))
	for i, t := range ts {
		texts[i] = t.String()
	}
	p.list(key, texts)
}

func (p *printer) schedule(s *alf.Service) {
	p.times(s)
	p.set("check_timeout", s.Timeout)
}

// times prints when a service is checked, and when people may be told of it.
func (p *printer) times(s *alf.Service) {
	if t := p.inventory.Timetable(s.Schedule); t != nil {
		p.list("schedule", t.Crons)
		p.optional("timezone", t.Zone)
	} else {
		p.set("check_interval", s.Interval)
	}
	p.set("retry_interval", s.Retry)
	p.set("max_check_attempts", s.MaxAttempts)
	p.optional("check_period", s.CheckPeriod)
	p.optional("notification_period", s.NotificationPeriod)
	p.telling(s)
}

// place says where what follows is defined, and where changed.
func (p *printer) place(at alf.Position, overridden ...alf.Position) {
	fmt.Fprintf(p.w, "\n# %s", where(at))
	for _, at := range overridden {
		fmt.Fprintf(p.w, ", %s", where(at))
	}
}

// table begins a table.
func (p *printer) table(path ...string) {
	fmt.Fprintf(p.w, "\n[%v]\n", toml.Key(path))
	p.at = p.origins
	for _, key := range path[min(2, len(path)):] { // behind the kind and the name
		if o := p.at[key]; o != nil {
			p.at = o.inner
		} else {
			p.at = nil
		}
	}
}

// end ends the line of a key, with where its value comes from if that is known.
func (p *printer) end(key string) {
	if o := p.at[key]; o != nil && o.set {
		fmt.Fprintf(p.w, "  # %s", p.from.where(o.at))
	}
	fmt.Fprintln(p.w)
}

// set prints one setting.
func (p *printer) set(key string, v any) {
	switch x := v.(type) {
	case string:
		v = quote(x)
	case time.Duration:
		v = quote(formatDuration(x))
	}
	fmt.Fprintf(p.w, "%v = %v", toml.Key{key}, v)
	p.end(key)
}

// optional prints a setting that says something.
func (p *printer) optional(key, text string) {
	if text != "" {
		p.set(key, text)
	}
}

func (p *printer) list(key string, texts []string) {
	quoted := make([]string, len(texts))
	for i, s := range texts {
		quoted[i] = quote(s)
	}
	fmt.Fprintf(p.w, "%v = [%s]", toml.Key{key}, strings.Join(quoted, ", "))
	p.end(key)
}

// quote prints s as a string of TOML, which one of JSON is but for DEL.
func quote(s string) string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(s); err != nil {
		return `""` // a string can always be encoded
	}
	return strings.ReplaceAll(strings.TrimSuffix(b.String(), "\n"), "\x7f", `\u007f`)
}

// judging prints what judges a service besides its plugin.
func (p *printer) judging(s *alf.Service) {
	for _, t := range s.Thresholds {
		p.table("service", s.Key.String(), "thresholds", t.Label)
		p.optional("warn", t.Warn.String())
		p.optional("crit", t.Crit.String())
		p.optional("unit", t.Unit)
	}
	if e := s.Expect; e != nil {
		p.table("service", s.Key.String(), "expect")
		p.numbers("exit_codes", e.ExitCodes)
		p.pattern("output", e.Output)
		p.pattern("output_not", e.OutputNot)
		p.pattern("stderr", e.Stderr)
		p.pattern("stderr_not", e.StderrNot)
		p.set("otherwise", strings.ToLower(e.Otherwise.String()))
	}
}

func (p *printer) pattern(key string, re *regexp.Regexp) {
	if re != nil {
		p.set(key, strings.TrimPrefix(re.String(), "(?m)"))
	}
}

func (p *printer) numbers(key string, list []int) {
	fmt.Fprintf(p.w, "%v = %s", toml.Key{key}, strings.ReplaceAll(fmt.Sprint(list), " ", ", "))
	p.end(key)
}

// restless prints how flapping and old results are judged, where that is not as
// it always is.
func (p *printer) restless(s *alf.Service) {
	names := serviceStatuses
	if s.Key.IsHost() {
		names = hostStatuses
	}
	if s.Flapping.Enabled {
		p.set("flap_detection_enabled", true)
		p.set("low_flap_threshold", s.Flapping.Low)
		p.set("high_flap_threshold", s.Flapping.High)
	}
	if s.Flapping.Ignore != [4]bool{} {
		p.statuses("flap_detection_options", names, s.Flapping.Ignore, false)
	}
	if s.Stalking != [4]bool{} {
		p.statuses("stalking_options", names, s.Stalking, true)
	}
	if s.Freshness > 0 {
		p.set("freshness_threshold", s.Freshness)
	}
	if s.SoftPassive {
		p.set("passive_host_checks_are_soft", true)
	}
}

// bonds prints what a service depends on, and its recurring downtimes.
func (p *printer) bonds(s *alf.Service) {
	var keys []string
	for _, d := range s.Dependencies {
		keys = append(keys, d.Master.String())
	}
	if len(keys) > 0 {
		p.list("depends_on", keys)
	}
	if len(s.Recurring) > 0 {
		p.list("downtimes", s.Recurring)
	}
}

// statuses prints the names of those whose place in set is as wanted.
func (p *printer) statuses(key string, names []string, set [4]bool, wanted bool) {
	var list []string
	for i, name := range names {
		if set[i] == wanted {
			list = append(list, name)
		}
	}
	p.list(key, list)
}
