package plugins

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// answer is what a plugin gave.
type answer struct {
	code           int
	stdout, stderr string
}

// datum is one item of performance data, with its numbers as they were printed.
type datum struct {
	label, value, uom string
	limits            []string // warn, crit, min, max as far as they were printed
}

var datumRE = regexp.MustCompile(`^('(?:[^']|'')+'|[^ ='"]+)=([0-9]+(?:\.[0-9]+)?)([a-zA-Z%]*)((?:;[0-9.]*){0,4})(?: |$)`)

// parse splits an answer into its text and its performance data, and fails the test if the form is wrong.
func (a answer) parse(t *testing.T) (text string, data []datum) {
	t.Helper()
	text, perf, ok := strings.Cut(strings.TrimSuffix(a.stdout, "\n"), "|")
	if !ok || strings.Contains(perf, "\n") || strings.Contains(perf, "|") {
		t.Fatalf("not one line with one pipe character: %q", a.stdout)
	}
	for perf = strings.TrimLeft(perf, " "); perf != ""; perf = strings.TrimLeft(perf, " ") {
		m := datumRE.FindStringSubmatch(perf)
		if m == nil {
			t.Fatalf("no performance data at %q of %q", perf, a.stdout)
		}
		label := m[1]
		if strings.HasPrefix(label, "'") {
			label = strings.ReplaceAll(label[1:len(label)-1], "''", "'")
		}
		data = append(data, datum{label, m[2], m[3], strings.Split(strings.TrimPrefix(m[4], ";"), ";")})
		perf = perf[len(m[0]):]
	}
	return text, data
}

// missing ends a test for which a component is not installed: a failure where everything has to be there.
func missing(t *testing.T, component, debianPackage string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatalf("%s is missing: install the package %s", component, debianPackage)
	}
	t.Skipf("%s is missing: install the package %s", component, debianPackage)
}

func need(t *testing.T, component, debianPackage string) string {
	t.Helper()
	path, err := exec.LookPath(component)
	if err != nil {
		missing(t, component, debianPackage)
	}
	return path
}

// shell is one of those that plugins must run under.
type shell struct {
	argv  []string
	tools string // a folder that stands before PATH, or empty
}

// eachShell runs f under every shell, busybox with its own tools.
func eachShell(t *testing.T, f func(t *testing.T, sh shell)) {
	under := func(name, option string, tools ...string) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := need(t, name, name)
			sh := shell{argv: []string{path, option}}
			if len(tools) > 0 {
				sh.tools = t.TempDir()
			}
			for _, tool := range tools {
				if err := os.Symlink(path, filepath.Join(sh.tools, tool)); err != nil {
					t.Fatal(err)
				}
			}
			f(t, sh)
		})
	}
	under("dash", "-u") // a variable that is not set is an error
	under("bash", "--posix")
	under("busybox", "sh", "df", "grep")
}

// feed runs script as Alf does, over stdin. Variables in env win over those of the test.
func (s shell) feed(t *testing.T, script []byte, env []string, args ...string) answer {
	t.Helper()
	argv := append(append(slices.Clone(s.argv[1:]), "-s", "--"), args...)
	cmd := exec.Command(s.argv[0], argv...)
	cmd.Dir = t.TempDir()
	cmd.Env = append(os.Environ(), "LC_ALL=C.UTF-8")
	if s.tools != "" {
		cmd.Env = append(cmd.Env, "PATH="+s.tools+":"+os.Getenv("PATH"))
	}
	cmd.Env = append(cmd.Env, env...)
	cmd.Stdin = bytes.NewReader(script)
	a := run(t, cmd)
	if left, err := os.ReadDir(cmd.Dir); err != nil || len(left) > 0 {
		t.Errorf("the plugin wrote into its folder: %v, %v", left, err)
	}
	return a
}

func run(t *testing.T, cmd *exec.Cmd) answer {
	t.Helper()
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		t.Fatalf("run %v: %v", cmd.Args, err)
	}
	return answer{cmd.ProcessState.ExitCode(), stdout.String(), stderr.String()}
}

// plugin returns the script of a plugin.
func plugin(t *testing.T, name string) []byte {
	t.Helper()
	script, ok := Open(name)
	if !ok {
		t.Fatalf("Open(%q): not there", name)
	}
	return script
}

// write makes a file with its folder and returns the folder.
func write(t *testing.T, folder, name, content string, mode os.FileMode) string {
	t.Helper()
	if err := os.WriteFile(filepath.Join(folder, name), []byte(content), mode); err != nil {
		t.Fatal(err)
	}
	return folder
}

func TestNames(t *testing.T) {
	want := []string{"check_disk", "check_load", "check_mem"}
	if got := Names(); !slices.Equal(got, want) {
		t.Errorf("Names() = %q, want %q", got, want)
	}
	for _, name := range want {
		if script := plugin(t, name); !bytes.HasPrefix(script, []byte("#!/bin/sh\n")) {
			t.Errorf("%s does not begin with #!/bin/sh", name)
		}
	}
	for _, name := range []string{"", ".", "check_none", "plugins.go", "../plugins/check_load"} {
		if script, ok := Open(name); ok || script != nil {
			t.Errorf("Open(%q) = %q, %v, want nil, false", name, script, ok)
		}
	}
}

func TestHelpAndVersion(t *testing.T) {
	eachShell(t, func(t *testing.T, sh shell) {
		for _, name := range Names() {
			for _, option := range []string{"-h", "--help", "-V", "--version"} {
				a := sh.feed(t, plugin(t, name), nil, option)
				if a.code != 3 || !strings.HasPrefix(a.stdout, name+" ") || a.stderr != "" {
					t.Errorf("%s %s = %d %q %q, want 3 and its name", name, option, a.code, a.stdout, a.stderr)
				}
				if strings.Contains(a.stdout, "|") {
					t.Errorf("%s %s has a pipe character, which begins performance data", name, option)
				}
			}
		}
	})
}

func TestBadArguments(t *testing.T) {
	cases := map[string][]string{
		"check_load": {
			"", "-w 5", "-c 5", "-w", "-w 5 -c", "-w a -c 5", "-w 5 -c 1,2,3,4", "-w 5,,4 -c 6", "-w 5, -c 6", "-w -1 -c 4",
			"-w 5 -c 4", "-w 1,2,3 -c 3,2,1", "-w 1e3 -c 5", "-w 1.2.3 -c 5", "-w 5 -c 6 x", "-z", "-w 5 -c 6 --no", "5 6",
			"-w 1234567890 -c 1234567890", "-w . -c 5", "--warning= --critical=1", "-w $(id) -c 5", "-w 5|6 -c 7",
		},
		"check_mem": {
			"", "-w 80", "-c 90", "-w 90 -c 80", "-f -w 10 -c 20", "-w 101 -c 102", "-w x -c y", "-w 10XB -c 5GB", "-w -5 -c 10",
			"-w 80 -c 90 x", "-w 80% -c 90%%", "-z", "-w 1..2 -c 3", "-w 1234567890MB -c 90", "-w 1|2 -c 3",
		},
		"check_disk": {
			"", "-p /", "-w x", "-w 20%%", "-w 101% -c 1", "-w -5", "-w 1.5 -c 1", "-W x -K 10", "-u XB -w 1", "-w", "-z", "-w 20% x",
			"-p / -w 20%", "-w 20% -t 10", "-w 1234567890123456", "-g -w 1", "-w 1|2",
			"-w 1% -r [", "-w 1% -i (", "-w 1% -x a\nb",
		},
	}
	eachShell(t, func(t *testing.T, sh shell) {
		for name, lines := range cases {
			for _, line := range lines {
				a := sh.feed(t, plugin(t, name), nil, words(line)...)
				if a.code != 3 || !strings.HasPrefix(a.stdout, name+": ") || !strings.Contains(a.stdout, "\nUsage: "+name) {
					t.Errorf("%s %s = %d %q, want 3 and its usage", name, line, a.code, a.stdout)
				}
				if strings.Contains(a.stdout, "|") || a.stderr != "" {
					t.Errorf("%s %s: pipe character or stderr: %q %q", name, line, a.stdout, a.stderr)
				}
			}
		}
	})
}

// words splits a line at its spaces only.
func words(line string) []string {
	if line == "" {
		return nil
	}
	return strings.Split(line, " ")
}

// A script that breaks off must not be taken for one that found nothing wrong, nor run a part of itself.
func TestCutShort(t *testing.T) {
	eachShell(t, func(t *testing.T, sh shell) {
		for _, name := range Names() {
			script := plugin(t, name)
			trap := bytes.IndexByte(script[10:], '\n') + 11
			var cuts []int
			for i := 0; i < len(script)-25; i += 797 {
				cuts = append(cuts, i)
			}
			for i := len(script) - 25; i < len(script)-1; i++ { // without its last newline it is whole
				cuts = append(cuts, i)
			}
			for _, i := range cuts {
				a := sh.feed(t, script[:i], nil, "-w", "1%", "-c", "1%")
				if a.stdout != "" || i >= trap && a.code != 3 {
					t.Errorf("the first %d bytes of %s: %d %q, want 3 and nothing", i, name, a.code, a.stdout)
				}
			}
		}
	})
}

func TestWithoutProc(t *testing.T) {
	eachShell(t, func(t *testing.T, sh shell) {
		for _, name := range []string{"check_load", "check_mem"} {
			a := sh.feed(t, plugin(t, name), []string{"ALF_PROC=/nowhere"}, "-w", "5", "-c", "6")
			if a.code != 3 || !strings.Contains(a.stdout, "needs Linux") || a.stderr != "" {
				t.Errorf("%s without /proc = %d %q %q, want 3 and the reason", name, a.code, a.stdout, a.stderr)
			}
		}
	})
}

func TestLoad(t *testing.T) {
	proc := t.TempDir()
	write(t, proc, "loadavg", "4.50 2.07 0.08 1/85 9966\n", 0o644)
	write(t, proc, "stat", "cpu  1 2 3\ncpu0 1 2 3\ncpu1 1 2 3\ncpu3 1 2 3\nintr 5\n", 0o644)
	const load = "load average: 4.50, 2.07, 0.08"
	eachShell(t, func(t *testing.T, sh shell) {
		f := func(args string, code int, want string) {
			t.Helper()
			a := sh.feed(t, plugin(t, "check_load"), []string{"ALF_PROC=" + proc}, strings.Fields(args)...)
			if a.code != code || a.stdout != want+"\n" || a.stderr != "" {
				t.Errorf("check_load %s\n= %d %q %q,\nwant %d %q", args, a.code, a.stdout, a.stderr, code, want)
			}
			a.parse(t)
		}
		f("-w 4.5,3,1 -c 5,4,3", 0, "LOAD OK - total "+load+"|load1=4.500;4.500;5.000;0; load5=2.070;3.000;4.000;0; load15=0.080;1.000;3.000;0; ")
		f("--warning=4.499 --critical 5", 1, "LOAD WARNING - total "+load+"|load1=4.500;4.499;5.000;0; load5=2.070;4.499;5.000;0; load15=0.080;4.499;5.000;0; ")
		f("-w1 -c4.49", 2, "LOAD CRITICAL - total "+load+"|load1=4.500;1.000;4.490;0; load5=2.070;1.000;4.490;0; load15=0.080;1.000;4.490;0; ")
		f("-w 9,2 -c 9", 1, "LOAD WARNING - total "+load+"|load1=4.500;9.000;9.000;0; load5=2.070;2.000;9.000;0; load15=0.080;2.000;9.000;0; ")
		f("-w 9,9,.08 -c 9", 0, "LOAD OK - total "+load+"|load1=4.500;9.000;9.000;0; load5=2.070;9.000;9.000;0; load15=0.080;0.080;9.000;0; ")
		f("-w 9,9,0.0799 -c 09.000", 1, "LOAD WARNING - total "+load+"|load1=4.500;9.000;9.000;0; load5=2.070;9.000;9.000;0; load15=0.080;0.079;9.000;0; ")
		const scaled = " - scaled load average: 1.50, 0.69, 0.03 - total " + load +
			"|load1=4.500;;;0; scaled_load1=1.500;%s;%s;0; load5=2.070;;;0; scaled_load5=0.690;%[1]s;%[2]s;0; load15=0.080;;;0; scaled_load15=0.027;%[1]s;%[2]s;0; "
		f("-r -w 1.5 -c 2", 0, "LOAD OK"+fmt.Sprintf(scaled, "1.500", "2.000"))
		f("-rw 1.4 -c 2", 1, "LOAD WARNING"+fmt.Sprintf(scaled, "1.400", "2.000"))
		f("--percpu -w 1 -c 1.499", 2, "LOAD CRITICAL"+fmt.Sprintf(scaled, "1.000", "1.499"))
	})
}

func TestLoadNonsense(t *testing.T) {
	eachShell(t, func(t *testing.T, sh shell) {
		for _, content := range []string{"", "one two three\n", "0.1\n", "-1 -1 -1 1/1 1\n", "|rm 0 0\n"} {
			proc := write(t, t.TempDir(), "loadavg", content, 0o644)
			a := sh.feed(t, plugin(t, "check_load"), []string{"ALF_PROC=" + proc}, "-w", "5", "-c", "6")
			if a.code != 3 || !strings.HasPrefix(a.stdout, "LOAD UNKNOWN - ") {
				t.Errorf("check_load of %q = %d %q, want UNKNOWN", content, a.code, a.stdout)
			}
		}
	})
}

const meminfo = `MemTotal:        1000000 kB
MemFree:          200000 kB
MemAvailable:     600000 kB
Buffers:           50000 kB
Cached:           300000 kB
SwapCached:            0 kB
Shmem:             20000 kB
SReclaimable:      40000 kB
HugePages_Total:      50
Hugepagesize:       2048 kB
`

func TestMem(t *testing.T) {
	proc := write(t, t.TempDir(), "meminfo", meminfo, 0o644)
	old := write(t, t.TempDir(), "meminfo", strings.Replace(meminfo, "MemAvailable", "Mapped", 1), 0o644)
	eachShell(t, func(t *testing.T, sh shell) {
		f := func(proc, args string, code int, want string) {
			t.Helper()
			a := sh.feed(t, plugin(t, "check_mem"), []string{"ALF_PROC=" + proc}, strings.Fields(args)...)
			if a.code != code || a.stdout != want+"\n" || a.stderr != "" {
				t.Errorf("check_mem %s\n= %d %q %q,\nwant %d %q", args, a.code, a.stdout, a.stderr, code, want)
			}
			a.parse(t)
		}
		perf := func(used, warn, crit, free int) string {
			return fmt.Sprintf("|TOTAL=%dB;;;; USED=%dB;%d;%d;0;%[1]d FREE=%[5]dB;;;; CACHES=378880000B;;;;",
				(used+free)*1024, used*1024, warn*1024, crit*1024, free*1024)
		}
		f(proc, "-u -w 80.1 -c 90", 0, "OK - 80.0% (800000 kB) used."+perf(800000, 801000, 900000, 200000))
		f(proc, "-w 80% -c 90%", 1, "WARNING - 80.0% (800000 kB) used!"+perf(800000, 800000, 900000, 200000))
		f(proc, "-u -w 70 -c 80", 2, "CRITICAL - 80.0% (800000 kB) used!"+perf(800000, 700000, 800000, 200000))
		f(proc, "-f -w 19.9 -c 10", 0, "OK - 20.0% (200000 kB) free."+perf(800000, 801000, 900000, 200000))
		f(proc, "-f -w 20 -c 10", 1, "WARNING - 20.0% (200000 kB) free!"+perf(800000, 800000, 900000, 200000))
		f(proc, "-f -w 30 -c 20", 2, "CRITICAL - 20.0% (200000 kB) free!"+perf(800000, 700000, 800000, 200000))
		f(proc, "-fC -w 20 -c 10", 0, "OK - 60.0% (600000 kB) free."+perf(400000, 800000, 900000, 600000))
		f(old, "-C -w 80 -c 90", 0, "OK - 43.0% (430000 kB) used."+perf(430000, 800000, 900000, 570000))
		f(proc, "-w 781.25MB -c 900000kB", 1, "WARNING - 80.0% (800000 kB) used!"+perf(800000, 800000, 900000, 200000))
		f(proc, "-w 819200001KiB -c 819201024KiB", 0, "OK - 80.0% (800000 kB) used."+perf(800000, 819200001, 819201024, 200000))
		f(proc, "-f -w 204800000B -c 1MB", 1, "WARNING - 20.0% (200000 kB) free!"+perf(800000, 800000, 998976, 200000))
		f(proc, "-f -w 2GB -c 199999K", 1, "WARNING - 20.0% (200000 kB) free!"+perf(800000, 0, 800001, 200000))
		f(proc, "-H -w 80 -c 90", 0, "OK - 77.7% (697600 kB) used."+perf(697600, 718080, 807840, 200000)+" HUGEPAGES=104857600B;;;;")
	})
}

func TestMemNonsense(t *testing.T) {
	eachShell(t, func(t *testing.T, sh shell) {
		for _, content := range []string{"", "MemTotal: many kB\nMemFree: 1 kB\n", "MemTotal: 0 kB\nMemFree: 0 kB\n", "MemTotal: 5 kB\n"} {
			proc := write(t, t.TempDir(), "meminfo", content, 0o644)
			a := sh.feed(t, plugin(t, "check_mem"), []string{"ALF_PROC=" + proc}, "-w", "5", "-c", "6")
			if a.code != 3 || !strings.HasPrefix(a.stdout, "UNKNOWN - ") {
				t.Errorf("check_mem of %q = %d %q, want UNKNOWN", content, a.code, a.stdout)
			}
		}
	})
}

// fakeDF makes a df that prints blocks or inodes, and returns the PATH that finds it.
func fakeDF(t *testing.T, blocks, inodes string) (env []string) {
	t.Helper()
	folder := t.TempDir()
	write(t, folder, "blocks", "Filesystem 1024-blocks Used Available Capacity Mounted on\n"+blocks, 0o644)
	write(t, folder, "inodes", "Filesystem Inodes IUsed IFree IUse% Mounted on\n"+inodes, 0o644)
	write(t, folder, "df", "#!/bin/sh\ncase \" $* \" in\n*' -i '*) exec cat "+folder+"/inodes ;;\n*) exec cat "+folder+"/blocks ;;\nesac\n", 0o755)
	return []string{"PATH=" + folder + ":" + os.Getenv("PATH")}
}

func TestDisk(t *testing.T) {
	df := fakeDF(t, "/dev/a 1024000 512000 409600 56% /\n/dev/b 2048000 0 2048000 0% /srv\nproc 0 0 0 - /proc\n",
		"/dev/a 1000 250 750 25% /\n/dev/b 0 0 0 - /srv\n")
	const (
		aText = " / 400MiB (44% inode=75%);"
		bText = " /srv 2000MiB (100% inode=-);"
		free  = " - free space:"
	)
	a := func(warn, crit string) string { return " /=524288000B;" + warn + ";" + crit + ";0;1048576000" }
	b := func(warn, crit string) string { return " /srv=0B;" + warn + ";" + crit + ";0;2097152000" }
	eachShell(t, func(t *testing.T, sh shell) {
		f := func(args string, code int, want string) {
			t.Helper()
			got := sh.feed(t, plugin(t, "check_disk"), df, strings.Fields(args)...)
			if got.code != code || got.stdout != want+"\n" || got.stderr != "" {
				t.Errorf("check_disk %s\n= %d %q %q,\nwant %d %q", args, got.code, got.stdout, got.stderr, code, want)
			}
			if strings.Contains(want, "|") {
				got.parse(t)
			}
		}
		f("-w 43.9% -c 10%", 0, "DISK OK"+free+aText+bText+"|"+a("588251136", "943718400")+b("1176502272", "1887436800"))
		f("-w44% -c10%", 1, "DISK WARNING"+free+aText+bText+"|"+a("587202560", "943718400")+b("1174405120", "1887436800"))
		f("--warning=50% --critical=44%", 2, "DISK CRITICAL"+free+aText+bText+"|"+a("524288000", "587202560")+b("1048576000", "1174405120"))
		f("-w 399 -c 300", 0, "DISK OK"+free+aText+bText+"|"+a("630194176", "734003200")+b("1678770176", "1782579200"))
		f("-w 400 -c 399", 1, "DISK WARNING"+free+aText+bText+"|"+a("629145600", "630194176")+b("1677721600", "1678770176"))
		f("-w 409600 -c 5 -k -e", 1, "DISK WARNING"+free+" / 409600kiB (44% inode=75%);|"+a("629145600", "1048570880")+b("1677721600", "2097146880"))
		f("-w 1500 -c 401 -e", 2, "DISK CRITICAL"+free+aText+"|"+a("0", "628097024")+b("524288000", "1676673024"))
		f("-e -w 1%", 0, "DISK OK|"+a("1038090240", "")+b("2076180480", ""))
		f("-W 74.9% -K 10%", 0, "DISK OK"+free+aText+bText+"|"+a("", "")+b("", ""))
		f("-W 75% -K 10% -x /srv", 1, "DISK WARNING"+free+aText+"|"+a("", ""))
		f("-W 80% -K 75% -P -x /dev/b", 2, "DISK CRITICAL"+free+aText+"|"+a("", "")+" '/ (inodes)'=250;200;250;0;1000")
		f("-w 1% -M -f -i /srv", 0, "DISK OK"+free+" /dev/a 400MiB (44% inode=75%);| /dev/a=524288000B;934281216;;0;943718400")
		f("-w 1% -r ^/s -C -c 50% -A", 2, "DISK CRITICAL"+free+aText+bText+"|"+a("", "524288000")+b("2076180480", ""))
		f("-w 1% -R ^/DEV/B -u GB", 0, "DISK OK"+free+" /srv 1GiB (100% inode=-);|"+b("2076180480", ""))
		f("-w 1% -i . ", 3, "DISK UNKNOWN - no file system is selected")
	})
}

func TestDiskHostileNames(t *testing.T) {
	df := fakeDF(t, "my disk 100 50 50 50% /mnt/it's  a|b=c;d\n//nas/the share 100 50 50 50% /net\n", "")
	const want = "DISK OK - free space: /mnt/it's  a?b=c;d 0MiB (50% inode=-); /net 0MiB (50% inode=-);|" +
		" '/mnt/it''s  a?b=c;d'=51200B;101376;;0;102400 /net=51200B;101376;;0;102400\n"
	eachShell(t, func(t *testing.T, sh shell) {
		a := sh.feed(t, plugin(t, "check_disk"), df, "-w", "1%")
		if a.code != 0 || a.stdout != want {
			t.Fatalf("= %d %q, want 0 %q", a.code, a.stdout, want)
		}
		if _, data := a.parse(t); data[0].label != "/mnt/it's  a?b=c;d" {
			t.Errorf("label = %q", data[0].label)
		}
		a = sh.feed(t, plugin(t, "check_disk"), df, "-w", "1%", "-M", "-x", "//nas/the share")
		if !strings.Contains(a.stdout, " 'my disk'=51200B") || strings.Contains(a.stdout, "nas") {
			t.Errorf("with -M = %q", a.stdout)
		}
	})
}

func TestDiskTypes(t *testing.T) {
	df := fakeDF(t, "/dev/a ext4 100 50 50 50% /\ntmpfs tmpfs 100 50 50 50% /run\nnas:/x nfs4 100 100 0 100% /net\n", "")
	eachShell(t, func(t *testing.T, sh shell) {
		f := func(args string, code int, mounts ...string) {
			t.Helper()
			a := sh.feed(t, plugin(t, "check_disk"), df, strings.Fields("-w 1% "+args)...)
			var got []string
			for _, d := range second(a.parse(t)) {
				got = append(got, d.label)
			}
			if a.code != code || !slices.Equal(got, mounts) {
				t.Errorf("check_disk -w 1%% %s = %d %q, want %d %q", args, a.code, got, code, mounts)
			}
		}
		f("-X tmpfs", 1, "/", "/net")
		f("-X tmpfs -X nfs4", 0, "/")
		f("--exclude-type=nfs4", 0, "/", "/run")
		f("-N ext4", 0, "/")
		f("-l", 0, "/", "/run")
		f("-L", 0, "/", "/run", "/net")
		f("-lX tmpfs", 0, "/")
	})
}

func second[A, B any](_ A, b B) B { return b }

func TestDiskPaths(t *testing.T) {
	dir := t.TempDir()
	eachShell(t, func(t *testing.T, sh shell) {
		f := func(code int, prefix string, args ...string) {
			t.Helper()
			a := sh.feed(t, plugin(t, "check_disk"), nil, append([]string{"-w", "0%", "-c", "0%"}, args...)...)
			if a.code != code || !strings.HasPrefix(a.stdout, prefix) {
				t.Errorf("check_disk %q = %d %q, want %d %q…", args, a.code, a.stdout, code, prefix)
			}
		}
		f(0, "DISK OK - free space: / ", "-p", "/", "-p", "/")
		f(0, "DISK OK - free space: / ", "-E", "-p", "/")
		f(2, "DISK CRITICAL: "+dir+" not found", "-E", "-p", dir)
		f(2, "DISK CRITICAL - /no where is not accessible: ", "-p", "/", "-p", "/no where")
		f(2, "DISK CRITICAL - /no?where is not accessible: ", "-p", "/no|where")
		f(3, "DISK UNKNOWN - no file system", "-p", "/proc")
	})
}

// A file system that df cannot reach is a problem, unless it is left out.
func TestDiskUnreachable(t *testing.T) {
	folder := t.TempDir()
	write(t, folder, "df", "#!/bin/sh\necho 'df: /srv/nfs: Stale file handle' >&2\necho 'Filesystem 1024-blocks Used Available Capacity Mounted on'\necho '/dev/a 100 50 50 50% /'\nexit 1\n", 0o755)
	env := []string{"PATH=" + folder + ":" + os.Getenv("PATH")}
	eachShell(t, func(t *testing.T, sh shell) {
		a := sh.feed(t, plugin(t, "check_disk"), env, "-w", "1%")
		if want := "DISK CRITICAL - /srv/nfs is not accessible: Stale file handle\n"; a.code != 2 || a.stdout != want {
			t.Errorf("= %d %q, want 2 %q", a.code, a.stdout, want)
		}
		if a = sh.feed(t, plugin(t, "check_disk"), env, "-w", "1%", "-x", "/srv/nfs"); a.code != 0 {
			t.Errorf("with -x = %d %q, want 0", a.code, a.stdout)
		}
	})
}

// A df of BSD knows no -T, and says other things about inodes.
func TestDiskOtherDF(t *testing.T) {
	folder := t.TempDir()
	write(t, folder, "df", "#!/bin/sh\ncase \" $* \" in *' -T '* | *' -x '*) echo 'df: illegal option -- T' >&2; exit 1 ;; esac\n"+
		"echo 'Filesystem 1024-blocks Used Available Capacity iused ifree %iused Mounted on'\necho '/dev/a 100 50 50 50% /'\n", 0o755)
	env := []string{"PATH=" + folder + ":" + os.Getenv("PATH")}
	eachShell(t, func(t *testing.T, sh shell) {
		a := sh.feed(t, plugin(t, "check_disk"), env, "-w", "1%")
		if want := "DISK OK - free space: / 0MiB (50% inode=-);| /=51200B;101376;;0;102400\n"; a.code != 0 || a.stdout != want {
			t.Errorf("= %d %q, want 0 %q", a.code, a.stdout, want)
		}
		a = sh.feed(t, plugin(t, "check_disk"), env, "-w", "1%", "-X", "nfs")
		if a.code != 3 || !strings.Contains(a.stdout, "cannot tell types") {
			t.Errorf("with -X = %d %q, want 3 and the reason", a.code, a.stdout)
		}
	})
}

// TestNamesakes compares with the monitoring-plugins: same state, same labels, same numbers but for what happens
// between two runs, and rounding.
func TestNamesakes(t *testing.T) {
	const folder = "/usr/lib/nagios/plugins/"
	if _, err := os.Stat(folder + "check_load"); err != nil {
		missing(t, folder+"check_load", "monitoring-plugins-basic")
	}
	eachShell(t, func(t *testing.T, sh shell) {
		// f compares values within tolerance, which is a part of the larger one, and slack, which is absolute.
		f := func(name, args string, tolerance, slack float64) {
			t.Helper()
			ours := sh.feed(t, plugin(t, name), nil, strings.Fields(args)...)
			theirs := run(t, exec.Command(folder+name, strings.Fields(args)...))
			if ours.code != theirs.code {
				t.Errorf("%s %s = %d, theirs %d\n%s%s", name, args, ours.code, theirs.code, ours.stdout, theirs.stdout)
				return
			}
			ourText, ourData := ours.parse(t)
			theirText, theirData := theirs.parse(t)
			digits := regexp.MustCompile(`[0-9]+`)
			if o, w := digits.ReplaceAllString(ourText, "N"), digits.ReplaceAllString(theirText, "N"); o != w {
				t.Errorf("%s %s: text %q, theirs %q", name, args, ourText, theirText)
			}
			if len(ourData) != len(theirData) {
				t.Fatalf("%s %s: %v, theirs %v", name, args, ourData, theirData)
			}
			for i, o := range ourData {
				w := theirData[i]
				if o.label != w.label || o.uom != w.uom || len(o.limits) != len(w.limits) {
					t.Errorf("%s %s: %v, theirs %v", name, args, o, w)
					continue
				}
				for j, ourNumber := range append([]string{o.value}, o.limits...) {
					if theirNumber := append([]string{w.value}, w.limits...)[j]; !near(ourNumber, theirNumber, tolerance, slack) {
						t.Errorf("%s %s: %s has %s, theirs %s", name, args, o.label, ourNumber, theirNumber)
					}
				}
			}
		}
		for _, args := range []string{
			"-w 1000,1001,1002 -c 2000,2001,2002", "-w 1000 -c 2000", "-w 1000,900 -c 2000,1900", "-w 0 -c 1000", "-r -w 1000,900,800 -c 2000,1900,1800",
			"--percpu --warning=1000 --critical=2000",
		} {
			f("check_load", args, 0.1, 0.5)
		}
		// Numbers of bytes: theirs are rounded down to a whole unit, and other programs write meanwhile.
		for _, args := range []string{
			"-w 1% -c 0% -p /", "-w 100% -c 0% -p /", "-w 100% -c 100% -p /", "-w 1 -c 0 -p /", "-w 1000 -c 500 -p / -p /tmp",
			"-w 1% -c 0% -k -p /", "-w 1% -c 0% -u bytes -p /", "-w 100% -c 0% -e -p /", "-w 1% -c 0% -e -p /", "-w 1% -c 0% -f -p /",
			"-w 1% -c 0% -M -p /", "-w 1% -c 0% -E -p /", "-W 100% -K 0% -P -p /", "-w 1% -W 1% -K 0% -P -p /", "-w 1% -c 0% -p / -C -w 100% -p /dev/shm",
		} {
			f("check_disk", args, 0.05, 4<<20)
		}
	})
}

// near tells whether two numbers, or two missing ones, are about the same.
func near(a, b string, tolerance, slack float64) bool {
	if a == "" || b == "" {
		return a == b
	}
	x, errX := strconv.ParseFloat(a, 64)
	y, errY := strconv.ParseFloat(b, 64)
	return errX == nil && errY == nil && math.Abs(x-y) <= slack+tolerance*math.Max(math.Abs(x), math.Abs(y))
}
