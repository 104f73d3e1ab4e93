package sshmux

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"
)

// keyCache keeps the private keys of files: to decrypt one takes a good part of a second, and
// each link holds on to the key that it has logged in with. So it is done once for a file, and
// not for each host.
type keyCache struct {
	mu   sync.Mutex // held while a key is decrypted, so that others wait for it
	kept map[string]keptKey
}

// keptKey is a key that has been parsed.
type keptKey struct {
	sum    [sha256.Size]byte // of the file and the passphrase
	signer ssh.Signer
}

// read reads a private key. Like ssh, it refuses a file of ours that others may read.
func (k *keyCache) read(file, passphrase string) (ssh.Signer, error) {
	text, err := readKeyFile(file)
	if err != nil {
		return nil, err
	}
	signer, err := k.parse(file, text, passphrase)
	if _, encrypted := errors.AsType[*ssh.PassphraseMissingError](err); encrypted {
		return nil, fmt.Errorf("identity file %s is encrypted: use an agent, or set its passphrase", file)
	}
	if err != nil {
		return nil, fmt.Errorf("identity file %s: %w", file, err)
	}
	return signer, nil
}

// parse parses a key, unless the file and the passphrase are as they were.
func (k *keyCache) parse(file string, text []byte, passphrase string) (ssh.Signer, error) {
	sum := sha256.Sum256(append(append(bytes.Clone(text), 0), passphrase...))
	k.mu.Lock()
	defer k.mu.Unlock()
	if kept := k.kept[file]; kept.signer != nil && kept.sum == sum {
		return kept.signer, nil
	}
	signer, err := ssh.ParsePrivateKey(text)
	if _, encrypted := errors.AsType[*ssh.PassphraseMissingError](err); encrypted && passphrase != "" {
		signer, err = parseKey(text, passphrase)
	}
	if err != nil {
		return nil, err
	}
	if k.kept == nil {
		k.kept = make(map[string]keptKey)
	}
	k.kept[file] = keptKey{sum, signer}
	return signer, nil
}

func parseKey(text []byte, passphrase string) (ssh.Signer, error) {
	if block, _ := pem.Decode(text); block != nil && block.Type == "ENCRYPTED PRIVATE KEY" {
		return nil, errors.New("it is encrypted as PKCS #8 has it: write it anew with ssh-keygen -p")
	}
	signer, err := ssh.ParsePrivateKeyWithPassphrase(text, []byte(passphrase))
	if errors.Is(err, x509.IncorrectPasswordError) {
		return nil, errors.New("the passphrase is wrong")
	}
	return signer, err
}

// CheckKey returns what is wrong with an encrypted private key, or with its passphrase. The
// error tells nothing of either.
func CheckKey(key []byte, passphrase string) error {
	_, err := parseKey(key, passphrase)
	return err
}

func readKeyFile(file string) ([]byte, error) {
	info, err := os.Stat(file)
	if err != nil {
		return nil, fmt.Errorf("identity file: %w", err)
	}
	if info.Mode()&fs.ModeNamedPipe != 0 { // to open it could take for ever
		return nil, fmt.Errorf("identity file %s is a pipe", file)
	}
	if mode := info.Mode().Perm(); ours(info) && mode&0o077 != 0 {
		return nil, fmt.Errorf("identity file %s: others may read it (mode %#o): run chmod 600 on it", file, mode)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("identity file: %w", err)
	}
	return text, nil
}

// certBeside ends the name of the file in which ssh looks for the certificate of a key.
const certBeside = "-cert.pub"

// certify returns the key of a certificate with that certificate; none if it cannot be used.
func (c *credentials) certify(file, user string, keys ...ssh.Signer) []ssh.Signer {
	cert, err := readCertificate(file)
	if err != nil {
		c.problems = append(c.problems, fmt.Errorf("certificate %s: %w", file, err))
		return nil
	}
	for _, key := range keys {
		if s, err := ssh.NewCertSigner(cert, key); err == nil {
			if err := doubt(cert, user); err != nil {
				c.doubts = append(c.doubts, fmt.Errorf("certificate %s: %w", file, err))
			}
			return []ssh.Signer{s}
		}
	}
	c.problems = append(c.problems, fmt.Errorf("certificate %s: there is no key for it", file))
	return nil
}

// readCertificate reads a user's certificate, which must be valid by now.
func readCertificate(file string) (*ssh.Certificate, error) {
	info, err := os.Stat(file)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, errors.New("is not a regular file")
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	key, _, _, _, err := ssh.ParseAuthorizedKey(text)
	if err != nil {
		return nil, err
	}
	cert, ok := key.(*ssh.Certificate)
	switch now := time.Now(); {
	case !ok:
		return nil, errors.New("it is a key without a certificate")
	case cert.CertType != ssh.UserCert:
		return nil, errors.New("it is a host's, and not a user's")
	case cert.ValidBefore != ssh.CertTimeInfinity && !now.Before(time.Unix(int64(cert.ValidBefore), 0)):
		return nil, fmt.Errorf("it has expired at %s", time.Unix(int64(cert.ValidBefore), 0).Format(time.DateTime))
	case now.Before(time.Unix(int64(cert.ValidAfter), 0)):
		return nil, fmt.Errorf("it is not valid before %s", time.Unix(int64(cert.ValidAfter), 0).Format(time.DateTime))
	}
	return cert, nil
}

// doubt says why a host may refuse a certificate. It may also map principals to accounts as it
// likes, so it is asked.
func doubt(cert *ssh.Certificate, user string) error {
	for _, p := range cert.ValidPrincipals {
		if p == user {
			return nil
		}
	}
	if len(cert.ValidPrincipals) == 0 {
		return errors.New("it names no principals, as sshd demands")
	}
	return fmt.Errorf("its principals are %q, and %q is none of them", cert.ValidPrincipals, user)
}
