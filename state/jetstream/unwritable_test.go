package jetstream_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"alf"
	"alf/state/jetstream"
)

// asNobody runs the test that calls it once more in a process without root's
// rights, which no permission stops, and reports whether that was needed.
func asNobody(t *testing.T) bool {
	t.Helper()
	if os.Getuid() != 0 {
		return false
	}
	cmd := exec.Command("/proc/self/exe", "-test.run", "^"+t.Name()+"$", "-test.v", "-test.timeout", "2m")
	cmd.Dir = "/"
	cmd.Env = append(os.Environ(), "TMPDIR=/tmp")
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "--- PASS") {
		t.Errorf("as nobody: %v\n%s", err, out)
	}
	return true
}

// allow sets the owner's rights on all that is below dir.
func allow(t *testing.T, dir string, file, folder os.FileMode) {
	t.Helper()
	var folders []string
	err := filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil || !d.IsDir() {
			if err == nil {
				err = os.Chmod(name, file)
			}
			return err
		}
		folders = append(folders, name)
		return os.Chmod(name, 0o700)
	})
	for _, name := range folders {
		if err == nil {
			err = os.Chmod(name, folder)
		}
	}
	if err != nil {
		t.Fatal(err)
	}
}

// TestForbiddenWhileRunning takes the right to write away from a running record,
// twice. Append says so at once, reading goes on, and when the right is back so
// is Append, in the same process.
func TestForbiddenWhileRunning(t *testing.T) {
	if asNobody(t) {
		return
	}
	var said safe
	o := jetstream.Options{Dir: filepath.Join(t.TempDir(), "journal"), History: 5, MaxBytes: 64 << 20, Recent: 1, Log: logTo(&said)}
	r, stop := open(t, o)
	permit := func() { allow(t, o.Dir, 0o600, 0o700) }
	t.Cleanup(permit)
	forbid := func() { allow(t, o.Dir, 0o400, 0o500) }
	unwritable(t, r, &said, "permission denied", 2, forbid, permit)
	stop()
	forbid()
	if _, err := jetstream.Open(t.Context(), o); !errors.Is(err, fs.ErrPermission) || !strings.Contains(err.Error(), o.Dir) {
		t.Errorf("Open of a forbidden record = %v", err)
	}
	permit()
	below := filepath.Join(o.Dir, "jetstream")
	allow(t, below, 0o400, 0o500)
	if _, err := jetstream.Open(t.Context(), o); !errors.Is(err, fs.ErrPermission) || !strings.Contains(err.Error(), below) {
		t.Errorf("Open of a record of which a part is forbidden = %v", err)
	}
	permit()
	r, _ = open(t, o)
	if got := follow(t, r, 0, "400"); len(got) < 401 {
		t.Errorf("%d events are kept, want 401", len(got))
	}
}

// failingDisk mounts a file system on a file that becomes read-only at the first
// error, as a broken disk's does, and returns what makes one and what mends it.
func failingDisk(t *testing.T) (dir string, fail, mend func()) {
	t.Helper()
	dir, image := t.TempDir(), filepath.Join(t.TempDir(), "image")
	run := func(args ...string) error {
		out, err := exec.Command(args[0], args[1:]...).CombinedOutput()
		if err != nil {
			return fmt.Errorf("%v: %w: %s", args, err, out)
		}
		return nil
	}
	must := func(err error) {
		if err != nil {
			t.Fatal(err)
		}
	}
	mount := []string{"mount", "-o", "loop,errors=remount-ro", image, dir}
	if err := errors.Join(run("truncate", "-s", "64M", image), run("mkfs.ext4", "-q", image), run(mount...)); err != nil {
		noFileSystem(t, err)
	}
	unmount := func() error { return syscall.Unmount(dir, syscall.MNT_DETACH) }
	t.Cleanup(func() { must(unmount()) })
	fail = func() {
		device, err := exec.Command("findmnt", "-n", "-o", "SOURCE", dir).Output()
		must(err)
		name := filepath.Base(strings.TrimSpace(string(device)))
		must(os.WriteFile(filepath.Join("/sys/fs/ext4", name, "trigger_fs_error"), []byte("1"), 0))
	}
	mend = func() {
		other := smallDisk(t, 64, 0)
		must(os.CopyFS(other, os.DirFS(dir)))
		must(syscall.Mount(other, dir, "", syscall.MS_BIND, ""))
		t.Cleanup(func() { must(unmount()) })
	}
	return dir, fail, mend
}

// TestDiskBreaks is about a file system that the kernel makes read-only while
// Alf runs, and that gives way to another one with the same files.
func TestDiskBreaks(t *testing.T) {
	dir, fail, mend := failingDisk(t)
	var said safe
	o := jetstream.Options{Dir: filepath.Join(dir, "journal"), History: 5, Recent: 1, Log: logTo(&said)}
	r, stop := open(t, o)
	unwritable(t, r, &said, "read-only file system", 1, fail, mend)
	stop()
	r, _ = open(t, o)
	if got := follow(t, r, 0, "200"); len(got) < 201 {
		t.Errorf("%d events are kept, want 201", len(got))
	}
}

func unwritable(t *testing.T, r *jetstream.Record, said *safe, reason string, rounds int, forbid, permit func()) {
	n := 0
	add := func() error {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		e := result(web, n)
		e.Result.LongOutput = strings.Repeat("x", 2000)
		err := r.Append(ctx, []*alf.Event{e})
		if err == nil {
			n++
		}
		return err
	}
	for round := range rounds {
		for n < 200*(round+1) {
			if err := add(); err != nil {
				t.Fatal(err)
			}
		}
		forbid()
		began := time.Now()
		err := add()
		if err == nil || !strings.Contains(err.Error(), reason) || time.Since(began) > time.Second {
			t.Fatalf("Append = %v after %v, want %q at once", err, time.Since(began), reason)
		}
		want := fmt.Sprint([]int{n - 1, n - 2, n - 3, n - 4, n - 5})
		for range 5 {
			if got := fmt.Sprint(last(t, r, web)); got != want {
				t.Errorf("Last = %v, want %v", got, want)
			}
			time.Sleep(100 * time.Millisecond)
		}
		if got := follow(t, r, 0, fmt.Sprint(n-1)); len(got) < n {
			t.Errorf("Follow got %d events, want %d", len(got), n)
		}
		if s := r.Stats(); !s.Broken {
			t.Error("Stats do not say that nothing can be written")
		}
		permit()
		for began = time.Now(); add() != nil; time.Sleep(20 * time.Millisecond) {
			if time.Since(began) > 10*time.Second {
				t.Fatalf("Append does not work again: %v\n%s", add(), said)
			}
		}
		t.Logf("%d events; Append works again after %v", n, time.Since(began).Round(time.Millisecond))
		settle(t, r)
		if s := r.Stats(); s.Broken || s.Restarts < uint64(round)+1 {
			t.Errorf("Stats = %+v", s)
		}
	}
}
