package config

import (
	"bytes"
	"encoding/binary"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
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
		l.encrypted[name] = v.at
	}
	l.keyFiles[name] = true
	return name, nil
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
