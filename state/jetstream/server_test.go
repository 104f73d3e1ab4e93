package jetstream_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"alf/state/jetstream"
)

// oldServer builds a NATS server that is too old, as tools/oldnats names it,
// and starts it.
func oldServer(t *testing.T) (url string) {
	t.Helper()
	dir := t.TempDir()
	program := filepath.Join(dir, "nats-server")
	build := exec.Command("go", "build", "-o", program, "github.com/nats-io/nats-server/v2")
	build.Dir = "../../tools/oldnats"
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build an old NATS server: %v\n%s", err, out)
	}
	cmd := exec.Command(program, "-a", "127.0.0.1", "-p", "-1", "-js", "-sd", dir, "--ports_file_dir", dir)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	for began := time.Now(); time.Since(began) < 20*time.Second; time.Sleep(20 * time.Millisecond) {
		files, _ := filepath.Glob(filepath.Join(dir, "*.ports"))
		if len(files) == 0 {
			continue
		}
		var ports struct{ Nats []string }
		if text, err := os.ReadFile(files[0]); err == nil && json.Unmarshal(text, &ports) == nil && len(ports.Nats) > 0 {
			return ports.Nats[0]
		}
	}
	t.Fatal("the old NATS server does not start")
	return ""
}

// TestOldServer meets a server that lacks what is needed here. It is refused,
// and nothing is made on it.
func TestOldServer(t *testing.T) {
	url := oldServer(t)
	_, err := jetstream.Open(t.Context(), jetstream.Options{URL: url})
	if err == nil || !strings.Contains(err.Error(), "has version 2.12.1; Alf needs 2.14") {
		t.Errorf("Open = %v, want an error with both versions", err)
	}
	conn, err := nats.Connect(url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	reply, err := conn.Request("$JS.API.STREAM.NAMES", nil, 5*time.Second)
	if err != nil || !strings.Contains(string(reply.Data), `"total":0`) {
		t.Errorf("the old server has streams: %s, %v", reply.Data, err)
	}
}
