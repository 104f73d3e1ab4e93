package config

import (
	"crypto/sha256"
	"encoding/binary"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
)

// Snapshot is what a configuration is made of.
type Snapshot struct {
	Folders []string          // in which its files are, or may come to be
	Digest  [sha256.Size]byte // of all that its files say
}

// Look returns the sources of the configuration in file. What cannot be read is
// part of the digest as such.
func Look(file string) Snapshot {
	files := newLoader(Options{NoSecrets: true}).find(file)
	folders, sum := make(map[string]bool), sha256.New()
	add := func(text []byte) {
		sum.Write(binary.BigEndian.AppendUint64(nil, uint64(len(text))))
		sum.Write(text)
	}
	for _, name := range files {
		folders[filepath.Dir(name)] = true
		if real, err := filepath.EvalSymlinks(name); err == nil {
			folders[filepath.Dir(real)] = true
		}
		text, err := readOwn(name, maxConfigFile, notWritable)
		if err != nil {
			text = []byte("\x00" + err.Error())
		}
		add([]byte(name))
		add(text)
	}
	root := confD(file)
	_ = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() && (path == root || d.Name()[0] != '.') {
			folders[path] = true
			return nil
		}
		if d != nil {
			return skip(d)
		}
		return nil
	})
	return Snapshot{slices.Sorted(maps.Keys(folders)), [sha256.Size]byte(sum.Sum(nil))}
}
