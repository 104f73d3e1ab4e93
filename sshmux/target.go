package sshmux

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"
)

// HostKeyPolicy says what to do about a host whose key is not known.
type HostKeyPolicy string

// The policies. A key that differs from the known one is refused by both.
const (
	Strict    HostKeyPolicy = "strict"     // refuse it; the default
	AcceptNew HostKeyPolicy = "accept-new" // append it to the first file of Target.KnownHosts and go on
)

// Target says where to log in, and as whom. Two targets share a link only if all of their
// fields are equal.
type Target struct {
	// Name is what people call the host: in errors, logs and statistics, and for looking up
	// its key, before Addr.
	Name string
	// HostKeyAlias replaces both for looking up its key, and stands there without the port.
	HostKeyAlias string
	// Addr is "host:port".
	Addr string
	// User is the account to log in as.
	User string
	// IdentityFiles are private keys, offered in order within one login. They are read at each
	// attempt to connect. A file that cannot be used is passed over; it is an error only if
	// there is no other way to log in. A certificate that lies beside one as "FILE-cert.pub"
	// is offered before.
	IdentityFiles []string
	// Passphrase opens those identity files that are encrypted; empty: they are passed over.
	// Who keeps a Target should keep it sealed.
	Passphrase string `json:"-"`
	// CertificateFiles are further certificates, of keys in IdentityFiles or of the agent's.
	CertificateFiles []string
	// Agent offers the keys of the agent at AgentSocket, after the identity files.
	Agent bool
	// AgentSocket is the agent's socket; empty means $SSH_AUTH_SOCK.
	AgentSocket string
	// Password answers the methods "password" and "keyboard-interactive", after all keys;
	// empty means none. Who keeps a Target should keep it sealed.
	Password string `json:"-"`
	// KnownHosts are files in the format of OpenSSH's known_hosts. One that is missing is
	// taken as empty.
	KnownHosts []string
	// HostKeyPolicy is Strict if empty.
	HostKeyPolicy HostKeyPolicy
	// MaxSessions is how many commands may run at once over the link; others queue. 0 means 5:
	// half of what sshd allows, because it frees a session a little after it has said so. On a
	// host that has refused one it is no more than half of what that allows, and at least 1.
	MaxSessions int
	// ConnectTimeout overrides Options.ConnectTimeout if it is positive. The time to reach Via
	// is Via's own.
	ConnectTimeout time.Duration
	// Gateway says that the key leads to a gateway on the host (see GatewayScript), which is
	// asked for commands in words that no shell reads, and runs those of its list only.
	Gateway bool
	// Via is the bastion from which Addr is reached, and looked up if it is a name; nil: it is
	// reached directly. Its link is the one that commands for the same target use. Bastions
	// may be behind others, but not in a circle.
	Via *Target

	sealed func() secrets // returns those of a sealed target
}

// defaultSessions is half of sshd's MaxSessions 10.
const defaultSessions = 5

// secrets are what nobody may read of a target.
type secrets struct{ password, passphrase string }

// Seal returns the same target with its secrets in a place where package fmt does not find them:
// it calls no method of what lies in an unexported field, and so would print them. A sealed
// target has an empty Password and Passphrase and the same Key, and logs in as before.
func (t Target) Seal() Target {
	if t.Password != "" || t.Passphrase != "" {
		s := secrets{t.password(), t.passphrase()}
		t.Password, t.Passphrase, t.sealed = "", "", func() secrets { return s }
	}
	if t.Via != nil {
		via := t.Via.Seal()
		t.Via = &via
	}
	return t
}

// password returns the password, sealed or not.
func (t Target) password() string {
	if t.Password == "" && t.sealed != nil {
		return t.sealed().password
	}
	return t.Password
}

// passphrase returns that of the identity files, sealed or not.
func (t Target) passphrase() string {
	if t.Passphrase == "" && t.sealed != nil {
		return t.sealed().passphrase
	}
	return t.Passphrase
}

// Key returns a string that is equal for equal targets only. It holds no secret.
func (t Target) Key() string {
	var b strings.Builder
	b.Grow(256)
	field := func(s string) {
		b.WriteString(strconv.Itoa(len(s)))
		b.WriteByte(':')
		b.WriteString(s)
	}
	list := func(all []string) {
		b.WriteString(strconv.Itoa(len(all)))
		b.WriteByte('*')
		for _, s := range all {
			field(s)
		}
	}
	field(t.Name)
	field(t.Addr)
	field(t.User)
	list(t.IdentityFiles)
	field(strconv.FormatBool(t.Agent))
	field(t.AgentSocket)
	list(t.CertificateFiles)
	field(t.HostKeyAlias)
	for _, secret := range [...]string{t.password(), t.passphrase()} {
		if secret == "" {
			field("")
			continue
		}
		sum := sha256.Sum256([]byte(secret))
		field(hex.EncodeToString(sum[:]))
	}
	list(t.KnownHosts)
	field(string(t.HostKeyPolicy))
	fmt.Fprintf(&b, "%d %d %t", t.MaxSessions, t.ConnectTimeout, t.Gateway)
	if t.Via != nil {
		b.WriteByte(' ')
		field(t.Via.Key())
	}
	return b.String()
}

// clone returns a sealed copy that shares no slice with its caller.
func (t Target) clone() Target {
	t.IdentityFiles = slices.Clone(t.IdentityFiles)
	t.CertificateFiles = slices.Clone(t.CertificateFiles)
	t.KnownHosts = slices.Clone(t.KnownHosts)
	if t.Via != nil {
		via := t.Via.clone()
		t.Via = &via
	}
	return t.Seal()
}

// String returns the target without its secrets.
func (t Target) String() string {
	return fmt.Sprintf("%s@%s (%s)", t.User, t.Addr, t.Name)
}

// Format makes every verb of package fmt print what String returns.
func (t Target) Format(f fmt.State, _ rune) { io.WriteString(f, t.String()) }

// LogValue returns what String does, so that no handler logs a secret.
func (t Target) LogValue() slog.Value { return slog.StringValue(t.String()) }

// name returns what to call the host.
func (t Target) name() string {
	if t.Name != "" {
		return t.Name
	}
	return t.Addr
}

func (t Target) validate() error {
	var errs []error
	host, port, err := net.SplitHostPort(t.Addr)
	if err != nil {
		errs = append(errs, err)
	} else if host == "" || port == "" {
		errs = append(errs, fmt.Errorf("address %q: want host:port", t.Addr))
	}
	if t.User == "" {
		errs = append(errs, errors.New("no user to log in as"))
	}
	switch t.HostKeyPolicy {
	case "", Strict, AcceptNew:
	default:
		errs = append(errs, fmt.Errorf("host key policy %q: want %q or %q", t.HostKeyPolicy, Strict, AcceptNew))
	}
	if len(t.KnownHosts) == 0 {
		errs = append(errs, errors.New("no known_hosts file"))
	}
	if t.Via != nil {
		if err := t.Via.validate(); err != nil {
			errs = append(errs, &bastionError{*t.Via, err})
		}
	}
	return errors.Join(errs...)
}
