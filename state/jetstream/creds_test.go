package jetstream_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nkeys"

	"alf"
	"alf/state/jetstream"
)

// operator signs accounts, as the operator of a NATS cluster does.
type operator struct {
	t        *testing.T
	key      nkeys.KeyPair
	system   string
	accounts map[string]string // their JWTs
}

func newOperator(t *testing.T) *operator {
	t.Helper()
	o := &operator{t: t, accounts: make(map[string]string)}
	o.key = o.pair(nkeys.CreateOperator())
	o.system = o.public(o.account("system", false))
	return o
}

func (o *operator) pair(key nkeys.KeyPair, err error) nkeys.KeyPair {
	o.t.Helper()
	if err != nil {
		o.t.Fatal(err)
	}
	return key
}

func (o *operator) public(key nkeys.KeyPair) string {
	o.t.Helper()
	public, err := key.PublicKey()
	if err != nil {
		o.t.Fatal(err)
	}
	return public
}

func (o *operator) signed(text string, err error) string {
	o.t.Helper()
	if err != nil {
		o.t.Fatal(err)
	}
	return text
}

// account makes an account, with or without JetStream.
func (o *operator) account(name string, stores bool) nkeys.KeyPair {
	o.t.Helper()
	key := o.pair(nkeys.CreateAccount())
	claims := jwt.NewAccountClaims(o.public(key))
	claims.Name = name
	if stores {
		claims.Limits.JetStreamLimits = jwt.JetStreamLimits{MemoryStorage: jwt.NoLimit, DiskStorage: jwt.NoLimit, Streams: jwt.NoLimit, Consumer: jwt.NoLimit}
	}
	o.accounts[o.public(key)] = o.signed(claims.Encode(o.key))
	return key
}

// creds writes the .creds file of a new user of an account.
func (o *operator) creds(account nkeys.KeyPair, permissions jwt.Permissions) string {
	o.t.Helper()
	key := o.pair(nkeys.CreateUser())
	claims := jwt.NewUserClaims(o.public(key))
	claims.Permissions = permissions
	seed, err := key.Seed()
	if err != nil {
		o.t.Fatal(err)
	}
	text, err := jwt.FormatUserConfig(o.signed(claims.Encode(account)), seed)
	if err != nil {
		o.t.Fatal(err)
	}
	file := filepath.Join(o.t.TempDir(), "alf.creds")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		o.t.Fatal(err)
	}
	return file
}

// nats starts a NATS server that knows all accounts there are now.
func (o *operator) nats() *natsServer {
	o.t.Helper()
	claims := jwt.NewOperatorClaims(o.public(o.key))
	claims.SystemAccount = o.system
	var preload strings.Builder
	for public, text := range o.accounts {
		fmt.Fprintf(&preload, "%s: %s\n", public, text)
	}
	return natsWith(o.t, fmt.Sprintf("operator: %s\nsystem_account: %s\nresolver: MEMORY\nresolver_preload: {\n%s}\n",
		o.signed(claims.Encode(o.key)), o.system, &preload))
}

func only(publish ...string) jwt.Permissions {
	return jwt.Permissions{Pub: jwt.Permission{Allow: publish}, Sub: jwt.Permission{Allow: []string{"_INBOX.>"}}}
}

func TestCredentials(t *testing.T) {
	o, stranger := newOperator(t), newOperator(t)
	account, few, poor := o.account("alf", true), o.account("few", true), o.account("poor", false)
	url := o.nats().url
	empty := filepath.Join(t.TempDir(), "empty.creds")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	with := func(file string) jetstream.Options { return jetstream.Options{URL: url, Credentials: file} }
	works(t, with(o.creds(account, jwt.Permissions{})))
	works(t, with(o.creds(few, only("alf.>", "$JS.API.>"))))
	fails(t, with(""), "Authorization Violation")
	fails(t, with(empty+"2"), empty+"2", "no such file")
	fails(t, with(filepath.Dir(empty)), filepath.Dir(empty), "is a directory")
	fails(t, with(empty), empty, "Authorization Violation")
	theirs := stranger.creds(stranger.account("theirs", true), jwt.Permissions{})
	fails(t, with(theirs), theirs, "Authorization Violation")
	fails(t, with(o.creds(poor, jwt.Permissions{})), "not enabled for account")
	fails(t, with(o.creds(account, only("alf.>"))), `Permissions Violation for Publish to "$JS.API.`)
}

// TestMayNotPublish has a user who may make streams but write nothing.
func TestMayNotPublish(t *testing.T) {
	o := newOperator(t)
	account := o.account("alf", true)
	var said safe
	r, stop := open(t, jetstream.Options{URL: o.nats().url, Credentials: o.creds(account, only("$JS.API.>")), Log: logTo(&said)})
	defer stop()
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	err := r.Append(ctx, []*alf.Event{result(web, 1)})
	if err == nil || !strings.Contains(err.Error(), `Permissions Violation for Publish to "alf.feed"`) {
		t.Errorf("Append = %v, want an error that says what the user may not do", err)
	}
}

// TestNoSecrets looks for what stands in a URL wherever that is told.
func TestNoSecrets(t *testing.T) {
	var said safe
	var told strings.Builder
	address := strings.TrimPrefix(natsWith(t, `authorization { user: "jdoe", password: "sesame" }`).url, "nats://")
	token := strings.TrimPrefix(natsWith(t, `authorization { token: "sesame" }`).url, "nats://")
	nobody := fmt.Sprint("127.0.0.1:", freePorts(t, 1)[0])
	for _, url := range []string{"nats://jdoe:sesame@" + address, "nats://sesame@" + token} {
		r, stop := open(t, jetstream.Options{URL: url, Log: logTo(&said)})
		info, err := r.Info(t.Context())
		fmt.Fprintln(&told, info.Where, err)
		stop()
		_, err = jetstream.Open(t.Context(), jetstream.Options{URL: url, Log: logTo(&said), Replicas: 3})
		fmt.Fprintln(&told, err)
		_, err = jetstream.Open(t.Context(), jetstream.Options{URL: url, Log: logTo(&said), SyncAlways: true})
		fmt.Fprintln(&told, err)
	}
	for _, url := range []string{
		"nats://sesame:sesame2@" + address, "nats://sesame2@" + token, "nats://" + nobody + ",nats://jdoe:sesame@" + nobody,
		"nats://jdoe:sesame@" + nobody, "tls://sesame@" + address, "nats://jdoe:ses%ame@" + address, "nats://jdoe:sesame@" + address + "x",
	} {
		_, err := jetstream.Open(t.Context(), jetstream.Options{URL: url, Log: logTo(&said)})
		if err == nil {
			t.Errorf("Open(%q) = nil, want an error", url)
		}
		fmt.Fprintln(&told, err)
	}
	for _, secret := range []string{"ses", "jdoe"} {
		if strings.Contains(told.String(), secret) || strings.Contains(said.String(), secret) {
			t.Errorf("%q is told:\n%slogged:\n%s", secret, told.String(), said.String())
		}
	}
}

// TestRefusedForAWhile has a server that comes back and does not know Alf, and
// then does again.
func TestRefusedForAWhile(t *testing.T) {
	t.Parallel()
	dir, port := t.TempDir(), freePorts(t, 1)[0]
	start := func(password string) *natsServer {
		s := startNATS(t, dir, fmt.Sprintf("listen: 127.0.0.1:%d\nauthorization { user: alf, password: %s }", port, password))
		s.ready(t)
		return s
	}
	s := start("first")
	var said safe
	r, stop := open(t, jetstream.Options{URL: fmt.Sprint("nats://alf:first@127.0.0.1:", port), Log: logTo(&said)})
	defer stop()
	put(t, r, result(web, 1))
	s.kill()
	s = start("second")
	within(t, "Alf is refused three times", func() error {
		text, err := os.ReadFile(filepath.Join(dir, "log"))
		if n := strings.Count(string(text), "authentication error"); n < 3 {
			return fmt.Errorf("refused %d times, %v", n, err)
		}
		return nil
	})
	s.kill()
	start("first")
	again := []*alf.Event{result(web, 2)}
	within(t, "Append", func() error { return r.Append(t.Context(), again) })
	if got := fmt.Sprint(last(t, r, web)); got != "[2 1]" {
		t.Errorf("Last = %v, want [2 1]", got)
	}
	if n := strings.Count(said.String(), "authorization violation"); n != 1 {
		t.Errorf("that it was refused is logged %d times, want once:\n%s", n, said.String())
	}
}
