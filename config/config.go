// Package config reads Alf's configuration: TOML in, a Config that is valid by
// construction out, which is plain data and can be compared.
//
// Each kind of table has a file of its own, which says how the table's keys are
// read (see sections). What is read is put together in resolve.go: hosts and
// their groups, then the checks that select them, then one service for each
// check on each host, with every macro that can be known by now resolved.
package config

import (
	"errors"
	"fmt"
	"os"

	"alf"
)

// Options say how a configuration is loaded. The zero Options will do for one
// that uses neither Alf's own plugins nor macros of the state.
type Options struct {
	// NoSecrets leaves secrets and key files unopened: Redacted stands for
	// each secret. Such a Config can be shown but not run.
	NoSecrets bool
	Plugins   func(name string) bool   // knows the names of Alf's own plugins
	Runtime   func(name string) bool   // knows the macros that have a value only when a check runs
	Getenv    func(name string) string // nil: os.Getenv
	// CheckKey opens an encrypted private key; nil: whether a passphrase is right, only the
	// login will tell.
	CheckKey func(key []byte, passphrase string) error
	// Origins lets Show tell where each value comes from. Such a Config takes
	// much more memory, and no two are equal.
	Origins bool

	// Actions makes an empty spec of each kind of actions, by its name.
	Actions map[string]func() alf.ActionSpec

	// Answers are what the sources have said, by name. Nil: they are not asked
	// for their hosts at all.
	Answers map[string]Answer
	// BlameHosts makes a mistake that shows on hosts of sources alone theirs: they
	// are refused. Else it is one of the files.
	BlameHosts bool
}

// Config is all that the files say, with every default filled in. It is
// read-only. Two loads of the same files are deeply equal.
type Config struct {
	File      string   // the main file, as it was given to Load
	Files     []string // all that were read, the main one first
	Daemon    Daemon
	Journal   Journal
	Web       Web
	Dialling  Dialling
	Nagios    Nagios
	Sources   []Source           // by name
	Actions   []alf.ActionConfig // by name
	Policy    *alf.Policy        // what [defaults] says of who is told; nil: nobody
	Inventory *alf.Inventory
	Counts    Counts
	Warnings  []error // each an *Error, by file and line

	origins *provenance // nil: nobody asked for it
}

// Counts says how much there is in a configuration.
type Counts struct {
	Hosts, Checks int
	Services      int // without the hosts' own checks
}

// String returns for example "12 hosts, 40 checks, 96 services".
func (c Counts) String() string {
	return fmt.Sprintf("%s, %s, %s", count(c.Hosts, "host"), count(c.Checks, "check"), count(c.Services, "service"))
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// Load reads file and the files conf.d/**/*.toml beside it. The error joins an
// *Error for every mistake that was found, by file and line. Where a file cannot
// be read, the others are still examined, but nothing is said to be missing. Hosts
// of sources that have mistakes are refused, with a warning for each.
func Load(file string, o Options) (*Config, error) {
	for t := newTrial(); ; {
		l := newLoader(o)
		l.trial = t
		l.read(file)
		if o.Origins {
			l.origins = newProvenance(l.root)
		}
		l.inherit()
		l.decode()
		c := l.resolve(file)
		if l.blame() {
			continue
		}
		if err := l.err(); err != nil {
			return nil, err
		}
		return c, nil
	}
}

// loader holds what has been read so far.
type loader struct {
	mistakes
	Options
	files   []string
	partial bool // some file could not be read: what is not there may be in it
	root    *table
	again   []*table         // what was set already; it is only searched for mistakes
	opened  map[string]thing // those of tables that count, by header

	model     host // into which one host after the other is read
	modelKeys keys // its own

	daemon   Daemon
	journal  Journal
	web      Web
	nagios   Nagios
	ssh      ssh
	dialling Dialling
	defaults defaults
	secrets  map[string]alf.Secret
	hosts    []*host
	groups   []*hostgroup
	checks   []*check
	periods  map[string]*timeperiod

	dependencies []*dependency
	actions      map[string]*action
	contacts     map[string]*contact
	escalations  []*escalation
	downtimes    []*downtime

	sources    []*source
	trial      *trial
	unanswered bool                        // a source has no answer: what is not there may be in it
	fromSource map[alf.Position]sourceHost // whose record stands there
	bySource   map[alf.HostName]string     // the source that a host is from
	folders    map[string]string           // where relative names of files begin, by sourceFile
	templates  map[string]*table           // as they are written
	order      []string                    // of their names
	whole      map[string]*table           // with what they inherit themselves
	opening    []string                    // those that are being put together
	users      map[usage]map[string]bool
	overrides  map[*table]*override
	amendments map[alf.HostName]*amendment
	secretsOf  map[*table]alf.Secret // of tables in place of a text, which many may inherit

	origins *provenance // nil: nobody asks

	journalAt alf.Position
	nagiosAt  alf.Position
	keyFiles  map[string]bool // that were examined and are in order
	encrypted map[string]encryptedKey
}

func newLoader(o Options) *loader {
	none := func(string) bool { return false }
	if o.Plugins == nil {
		o.Plugins = none
	}
	if o.Runtime == nil {
		o.Runtime = none
	}
	if o.Getenv == nil {
		o.Getenv = os.Getenv
	}
	return &loader{
		Options: o,
		root:    newTable(nil, alf.Position{}),
		opened:  make(map[string]thing),
		daemon:  defaultDaemon,
		journal: defaultJournal,
		web:     defaultWeb,

		dialling: defaultDialling,

		secrets: make(map[string]alf.Secret),
		periods: make(map[string]*timeperiod),

		actions:  make(map[string]*action),
		contacts: make(map[string]*contact),

		templates: make(map[string]*table),
		whole:     make(map[string]*table),
		users:     make(map[usage]map[string]bool),
		overrides: make(map[*table]*override),

		amendments: make(map[alf.HostName]*amendment),
		secretsOf:  make(map[*table]alf.Secret),

		encrypted: make(map[string]encryptedKey),

		trial:      newTrial(),
		fromSource: make(map[alf.Position]sourceHost),
		bySource:   make(map[alf.HostName]string),
		folders:    make(map[string]string),
		keyFiles:   make(map[string]bool),
	}
}

// errEmpty is the error of a value that must say something.
var errEmpty = errors.New("is empty")
