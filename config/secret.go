package config

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"alf"
)

// secretSource says where a secret is: [secret.NAME], or a table in place of a
// text.
type secretSource struct {
	name                        string // of a [secret.NAME]
	at                          alf.Position
	file, env, credential, same opt[string]
}

func newSecret(_ *loader, name string, at alf.Position) thing {
	return &secretSource{name: name, at: at}
}

func (s *secretSource) keys(l *loader) keys {
	return keys{
		"file":       set(&s.file, l.path),
		"env":        set(&s.env, word),
		"credential": set(&s.credential, word),
	}
}

// inlineKeys are those of a table in place of a text.
func (s *secretSource) inlineKeys(l *loader) keys {
	k := s.keys(l)
	k["secret"] = set(&s.same, text)
	return k
}

func (s *secretSource) loaded(l *loader, ok bool) {
	l.secrets[s.name] = alf.Redacted // known, whatever is wrong with it
	if !ok {
		return
	}
	secret, err := s.resolve(l)
	if err != nil {
		l.add(s.at, "secret %q: %v", s.name, err)
		return
	}
	l.secrets[s.name] = secret
}

// secret reads the name of a [secret.NAME], or a table that says where the
// secret is.
func (l *loader) secret(v value) (alf.Secret, error) {
	switch x := v.any.(type) {
	case string:
		return l.named(x)
	case *table:
		return l.secretIn(x)
	}
	return "", v.want(`the name of a [secret.NAME] or a table such as { file = "..." }`, secrets)
}

// named returns a [secret.NAME]. Its error does not print the name, which may
// be the secret itself.
func (l *loader) named(name string) (alf.Secret, error) {
	s, ok := l.secrets[name]
	if !ok && l.partial {
		return alf.Redacted, nil
	}
	if !ok {
		return "", errors.New("there is no [secret.NAME] of this name; a secret itself never stands in the configuration" +
			didYouMean(name, slices.Sorted(maps.Keys(l.secrets))))
	}
	return s, nil
}

// secretIn reads { file = }, { env = }, { credential = } or { secret = }.
func (l *loader) secretIn(t *table) (alf.Secret, error) {
	if known, ok := l.secretsOf[t]; ok {
		return known, nil
	}
	s := &secretSource{}
	var m mistakes
	if !m.fill(t, "", s.inlineKeys(l)) {
		var errs []error
		for _, e := range m.errors {
			errs = append(errs, &placed{alf.Position{File: e.File, Line: e.Line}, errors.New(e.Text)})
		}
		return "", errors.Join(errs...)
	}
	secret, err := s.resolve(l)
	if err == nil {
		l.secretsOf[t] = secret
	}
	return secret, err
}

// resolve reads the secret.
func (s *secretSource) resolve(l *loader) (alf.Secret, error) {
	var n int
	for _, key := range []opt[string]{s.file, s.env, s.credential, s.same} {
		if key.set {
			n++
		}
	}
	switch {
	case n != 1:
		return "", errors.New("want one of file, env, credential")
	case s.same.set:
		return l.named(s.same.v)
	case l.NoSecrets:
		return alf.Redacted, nil
	case s.env.set:
		return clean([]byte(l.Getenv(s.env.v)), "environment variable "+s.env.v)
	case s.credential.set:
		return l.credential(s.credential.v)
	}
	data, err := readOwn(s.file.v, maxSecretFile, notReadable)
	if err != nil {
		return "", err
	}
	return clean(data, s.file.v)
}

// credential reads what systemd or a container hands over. Who may read it is
// their business: systemd grants it by an access list that looks like a group's
// permission.
func (l *loader) credential(name string) (alf.Secret, error) {
	dir := l.Getenv("CREDENTIALS_DIRECTORY")
	switch {
	case dir == "":
		return "", fmt.Errorf("credential %q: CREDENTIALS_DIRECTORY is not set", name)
	case strings.Contains(name, "/") || name == "." || name == "..":
		return "", fmt.Errorf("credential %q is no plain name", name)
	}
	data, err := readOwn(filepath.Join(dir, name), maxSecretFile, notWritable)
	if err != nil {
		return "", err
	}
	return clean(data, "credential "+name)
}

// clean cuts the newline that editors leave at the end.
func clean(data []byte, from string) (alf.Secret, error) {
	data = bytes.TrimSuffix(bytes.TrimSuffix(data, []byte("\n")), []byte("\r"))
	switch {
	case len(data) == 0:
		return "", fmt.Errorf("%s is empty", from)
	case bytes.IndexByte(data, 0) >= 0:
		return "", fmt.Errorf("%s contains a NUL byte", from)
	}
	return alf.Secret(data), nil
}
