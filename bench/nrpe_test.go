package bench

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"testing"
	"time"

	"alf/internal/sshdtest"
)

// startNRPE starts Debian's nrpe on loopback, with TLS as it comes and one command, and returns
// its port. It ends with the benchmark.
func startNRPE(b *testing.B) (port string) {
	b.Helper()
	daemon, err := exec.LookPath("/usr/sbin/nrpe")
	if err == nil {
		_, err = os.Stat(plugins + "check_nrpe")
	}
	if err != nil {
		b.Skipf("%v: install the packages nagios-nrpe-server and nagios-nrpe-plugin", err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	_, port, _ = net.SplitHostPort(l.Addr().String())
	l.Close()
	account := "nobody" // nrpe refuses to run as root
	if os.Geteuid() != 0 {
		if u, err := user.Current(); err == nil {
			account = u.Username
		}
	}
	file := filepath.Join(b.TempDir(), "nrpe.cfg")
	config := fmt.Sprintf(`server_address=127.0.0.1
server_port=%s
allowed_hosts=127.0.0.1
nrpe_user=%s
nrpe_group=%s
pid_file=%s
dont_blame_nrpe=0
command[dummy]=%scheck_dummy 0 ok
`, port, account, groupOf(b, account), filepath.Join(b.TempDir(), "nrpe.pid"), plugins)
	if err := os.WriteFile(file, []byte(config), 0o644); err != nil {
		b.Fatal(err)
	}
	cmd := exec.Command(daemon, "-c", file, "-f")
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	sshdtest.Await(b, "nrpe to listen", func() bool {
		c, err := net.DialTimeout("tcp", net.JoinHostPort("127.0.0.1", port), time.Second)
		if err != nil {
			return false
		}
		c.Close()
		return true
	})
	return port
}

func groupOf(b *testing.B, account string) string {
	b.Helper()
	u, err := user.Lookup(account)
	if err != nil {
		b.Fatal(err)
	}
	g, err := user.LookupGroupId(u.Gid)
	if err != nil {
		b.Fatal(err)
	}
	return g.Name
}

func checkNRPE(b *testing.B, port string) {
	b.Helper()
	out, err := exec.Command(plugins+"check_nrpe", "-H", "127.0.0.1", "-p", port, "-c", "dummy").CombinedOutput()
	if err != nil || string(out) != "OK: ok\n" {
		b.Fatalf("check_nrpe: %v\n%s", err, out)
	}
}
