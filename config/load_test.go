package config

import (
	"encoding/pem"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"alf/actions"
)

// write puts files into a new folder and returns the name of alf.toml there. The
// text before the first "-- NAME --" line is alf.toml. Files whose name ends in
// .key or .secret are readable by their owner only. An empty .key is a private key.
func write(t testing.TB, src string) string {
	t.Helper()
	dir := t.TempDir()
	archive := txtar.Parse([]byte(src))
	files := append(archive.Files, txtar.File{Name: "alf.toml", Data: archive.Comment})
	for _, f := range files {
		name := filepath.Join(dir, f.Name)
		mode := os.FileMode(0o644)
		if ext := filepath.Ext(name); ext == ".key" || ext == ".secret" {
			mode = 0o600
		}
		if filepath.Ext(name) == ".key" && len(f.Data) == 0 {
			f.Data = []byte(privateKey("none"))
		}
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, f.Data, mode); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(name, mode); err != nil {
			t.Fatal(err)
		}
	}
	return filepath.Join(dir, "alf.toml")
}

// privateKey returns as much of a private key in OpenSSH's format as tells the
// cipher.
func privateKey(cipher string) string {
	data := append([]byte("openssh-key-v1\x00\x00\x00\x00"), byte(len(cipher)))
	return string(pem.EncodeToMemory(&pem.Block{Type: "OPENSSH PRIVATE KEY", Bytes: append(data, cipher...)}))
}

// environment is what tests see of the environment.
var environment = map[string]string{"HOME": "/home/alf", "SSH_AUTH_SOCK": "/agent", "DB_PASSWORD": "from-env"}

func options() Options {
	return Options{
		Actions: actions.Kinds(),
		Plugins: func(name string) bool { return name == "check_mem" },
		Runtime: func(name string) bool { return name == "SERVICESTATE" || name == "HOSTSTATE" },
		Getenv:  func(name string) string { return environment[name] },
		CheckKey: func(_ []byte, passphrase string) error {
			if passphrase != "right" {
				return errors.New("the passphrase is wrong")
			}
			return nil
		},
	}
}

// load loads a configuration that must be without mistakes.
func load(t testing.TB, src string) *Config {
	t.Helper()
	c, err := Load(write(t, src), options())
	if err != nil {
		t.Fatalf("Load: %v", err)
	}
	return c
}

// message returns the text of err without the folder of file.
func message(err error, file string) string {
	if err == nil {
		return ""
	}
	return strings.ReplaceAll(err.Error(), filepath.Dir(file)+"/", "")
}
