package sshmux

import (
	"context"
	"errors"
	"fmt"
	"os"

	"golang.org/x/crypto/ssh"
)

// PublicKeys returns the public halves of the keys that a target logs in with, in order, each as
// a line of authorized_keys has it, without options and comment. One whose private half cannot be
// read is taken from the file beside it, "FILE.pub". The error tells of each that cannot be had;
// the others are returned all the same.
func (m *Mux) PublicKeys(ctx context.Context, t Target) ([]string, error) {
	var keys []string
	var errs []error
	for _, file := range t.IdentityFiles {
		key, err := publicKey(file, t.passphrase())
		if err != nil {
			errs = append(errs, err)
			continue
		}
		keys = append(keys, authorized(key))
	}
	if t.Agent {
		var c credentials
		defer c.close()
		for _, s := range c.askAgent(ctx, t) {
			if _, certified := s.PublicKey().(*ssh.Certificate); !certified {
				keys = append(keys, authorized(s.PublicKey()))
			}
		}
		errs = append(errs, c.problems...)
	}
	if len(keys) == 0 && len(errs) == 0 {
		errs = append(errs, errors.New("no key is configured to log in with"))
	}
	return keys, errors.Join(errs...)
}

// publicKey returns the public half of a key.
func publicKey(file, passphrase string) (ssh.PublicKey, error) {
	private, err := privateKey(file, passphrase)
	if err == nil {
		return private, nil
	}
	text, missing := os.ReadFile(file + ".pub")
	if missing != nil {
		return nil, err
	}
	key, _, _, _, err := ssh.ParseAuthorizedKey(text)
	if err != nil {
		return nil, fmt.Errorf("%s.pub: %w", file, err)
	}
	return key, nil
}

// privateKey returns the public half that a private key's file tells, which OpenSSH's own format
// does even if it is encrypted.
func privateKey(file, passphrase string) (ssh.PublicKey, error) {
	text, err := readKeyFile(file)
	if err != nil {
		return nil, err
	}
	signer, err := ssh.ParsePrivateKey(text)
	encrypted, ok := errors.AsType[*ssh.PassphraseMissingError](err)
	if ok && encrypted.PublicKey != nil {
		return encrypted.PublicKey, nil
	}
	if ok && passphrase != "" {
		signer, err = parseKey(text, passphrase)
	}
	if err != nil {
		return nil, fmt.Errorf("identity file %s: %w", file, err)
	}
	return signer.PublicKey(), nil
}

// authorized returns a key as authorized_keys has it.
func authorized(key ssh.PublicKey) string {
	line := ssh.MarshalAuthorizedKey(key)
	return string(line[:len(line)-1])
}
