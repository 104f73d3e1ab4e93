package config

import (
	"cmp"
	"os"
	"path/filepath"
	"strings"

	"github.com/BurntSushi/toml"
)

// Socket returns the path of the daemon's socket as file has it, or the usual
// one. It reads nothing else, nor conf.d, and finds no mistakes: commands that only ask the
// daemon need not be able to read all that the daemon reads.
func Socket(file string) string {
	var main struct {
		Daemon struct {
			Socket string `toml:"socket"`
		} `toml:"daemon"`
	}
	if _, err := toml.DecodeFile(file, &main); err != nil {
		return defaultDaemon.Socket
	}
	socket := cmp.Or(main.Daemon.Socket, defaultDaemon.Socket)
	if rest, ok := strings.CutPrefix(socket, "~/"); ok {
		return filepath.Join(os.Getenv("HOME"), rest)
	}
	if filepath.IsAbs(socket) {
		return socket
	}
	return filepath.Join(filepath.Dir(file), socket)
}
