package config

import (
	"bytes"
	"encoding/binary"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"

	"alf"
)

// identityFile reads the name of a private key, which must be there and look like
// one. Whether it fits, only the login will tell.
func (l *loader) identityFile(v value) (string, error) {
	name, err := l.path(v)
	if err != nil || l.NoSecrets || l.keyFiles[name] {
		return name, err
	}
	data, err := readOwn(name, maxSecretFile, notReadable)
	if err != nil {
		return name, err
	}
	encrypted, err := checkKey(data)
	if err != nil {
		return name, fmt.Errorf("%s: %w", name, err)
	}
	if _, known := l.encrypted[name]; encrypted && !known {
		l.encrypted[name] = encryptedKey{v.at, data}
	}
	l.keyFiles[name] = true
	return name, nil
}

// encryptedKey is a key file that wants a passphrase.
type encryptedKey struct {
	at   alf.Position // where it is named first
	data []byte
}

// certificateFile reads the name of a certificate of a key.
func (l *loader) certificateFile(v value) (string, error) {
	name, err := l.path(v)
	if err != nil || l.NoSecrets {
		return name, err
	}
	data, err := readOwn(name, maxSecretFile, notWritable)
	if err != nil {
		return name, err
	}
	if kind, _, _ := strings.Cut(string(data), " "); !strings.HasSuffix(kind, "-cert-v01@openssh.com") {
		return name, fmt.Errorf("%s: no OpenSSH certificate in it", name)
	}
	return name, nil
}

// tried is a key file and the passphrase that it was opened with.
type tried struct {
	file       string
	passphrase alf.Secret
}

// checkKeys says which keys cannot be used for want of a passphrase, or with the
// wrong one, which stands there. Each is opened once, which takes its time. No
// error tells the passphrase.
func (r *resolver) checkKeys(at alf.Position, out alf.SSH) {
	if out.Passphrase == "" || r.NoSecrets {
		r.warnEncrypted(out)
		return
	}
	locked := false
	for _, file := range out.IdentityFiles {
		key, ok := r.encrypted[file]
		locked = locked || ok
		with := tried{file, out.Passphrase}
		if !ok || r.CheckKey == nil || r.tried[with] {
			continue
		}
		r.tried[with] = true
		if err := r.CheckKey(key.data, string(out.Passphrase)); err != nil {
			r.add(at, "passphrase: %s: %v", file, err)
		}
	}
	if !locked {
		r.warn(at, "passphrase: none of identity_files is encrypted")
	}
}

// openSSHMagic begins a key in OpenSSH's own format. The name of the cipher
// follows, "none" for a key that is not encrypted.
const openSSHMagic = "openssh-key-v1\x00"

// checkKey reports whether a private key is encrypted. Of what is in the file, no
// error says anything.
func checkKey(data []byte) (encrypted bool, err error) {
	block, _ := pem.Decode(data)
	switch {
	case block == nil || !strings.HasSuffix(block.Type, "PRIVATE KEY"):
		return false, errors.New("no PEM private key in it")
	case block.Type == "ENCRYPTED PRIVATE KEY" || strings.Contains(block.Headers["Proc-Type"], "ENCRYPTED"):
		return true, nil
	case block.Type != "OPENSSH PRIVATE KEY":
		return false, nil
	}
	rest, ok := bytes.CutPrefix(block.Bytes, []byte(openSSHMagic))
	if !ok || len(rest) < 4 || uint64(binary.BigEndian.Uint32(rest)) > uint64(len(rest)-4) {
		return false, errors.New("its private key is damaged")
	}
	cipher := rest[4 : 4+binary.BigEndian.Uint32(rest)]
	return string(cipher) != "none", nil
}
