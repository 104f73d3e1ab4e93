package config

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"
)

// Files that say what is run, or that hold a secret, must be in the hands of
// root and of Alf's own user only, as ssh demands of its files.

// forbidden are permissions that a file may not have, and why.
type forbidden struct {
	bits fs.FileMode
	why  string
	fix  string
}

var (
	notWritable = forbidden{0o022, "others can write it", "go-w"}
	notReadable = forbidden{0o077, "others can read it", "go="}
)

const (
	maxConfigFile = 64 << 20
	maxSecretFile = 64 << 10
)

// readOwn reads a file of at most limit bytes.
func readOwn(name string, limit int64, f forbidden) ([]byte, error) {
	// Not to hang on a pipe before its kind is known.
	file, err := os.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	if err := f.check(name, info); err != nil {
		return nil, err
	}
	data, err := io.ReadAll(io.LimitReader(file, limit+1))
	if err == nil && int64(len(data)) > limit {
		err = &fs.PathError{Op: "read", Path: name, Err: fmt.Errorf("is larger than %d bytes", limit)}
	}
	return data, err
}

// checkFile checks a file that is not read.
func checkFile(name string, f forbidden) error {
	info, err := os.Stat(name)
	if err != nil {
		return err
	}
	return f.check(name, info)
}

// checkFolder refuses a folder where others can put files.
func checkFolder(name string) error {
	info, err := os.Stat(name)
	if err != nil {
		return err
	}
	return notWritable.checkMode(name, info)
}

func (f forbidden) check(name string, info fs.FileInfo) error {
	if !info.Mode().IsRegular() {
		return &fs.PathError{Op: "read", Path: name, Err: errors.New("is not a regular file")}
	}
	return f.checkMode(name, info)
}

func (f forbidden) checkMode(name string, info fs.FileInfo) error {
	var err error
	if mode := info.Mode().Perm(); mode&f.bits != 0 {
		err = fmt.Errorf("%s (mode %04o): chmod %s", f.why, mode, f.fix)
	}
	if stat, ok := info.Sys().(*syscall.Stat_t); ok && f.foreign(int(stat.Uid)) {
		err = fmt.Errorf("belongs to user %d, neither to root nor to the user that Alf runs as", stat.Uid)
	}
	if err != nil {
		return &fs.PathError{Op: "read", Path: name, Err: err}
	}
	return nil
}

// foreign reports whether a file must not belong to owner. Root may use
// everybody's secrets: their owners learn nothing new.
func (f forbidden) foreign(owner int) bool {
	me := os.Geteuid()
	return owner != 0 && owner != me && !(me == 0 && f == notReadable)
}
