package calendar

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// facts is a table of what Nagios 4.4.6 says of timeperiods. Its lines are
//
//	now zone | directive=times; … | what Nagios says | what Alf says, if that differs
//
// A directive after "!" is one of a period that is excluded. What is said is
// "refused", "never", "now", or when the period begins.
const facts = "testdata/nagios.txt"

var record = flag.Bool("record", false, "ask /usr/sbin/nagios4 again what it says, for testdata/nagios.txt")

const minutes = "2006-01-02T15:04"

type fact struct {
	now          time.Time
	ranges       string
	nagios, says string
}

func readFacts(t testing.TB) (lines []string, all map[int]fact) {
	text, err := os.ReadFile(facts)
	if err != nil {
		t.Fatal(err)
	}
	lines, all = strings.Split(string(text), "\n"), make(map[int]fact)
	for i, line := range lines {
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		col := strings.Split(line+"|", "|")
		when, name, _ := strings.Cut(strings.TrimSpace(col[0]), " ")
		now, err := time.ParseInLocation(minutes, when, zone(t, name))
		if err != nil {
			t.Fatal(err)
		}
		all[i] = fact{now, strings.TrimSpace(col[1]), strings.TrimSpace(col[2]), strings.TrimSpace(col[3])}
	}
	return lines, all
}

// definitions reads a fact's ranges as the periods "p" and, excluded, "x".
func (f fact) definitions() map[string]Definition {
	p := Definition{Zone: f.now.Location(), Ranges: map[string]string{}}
	x := Definition{Zone: f.now.Location(), Ranges: map[string]string{}}
	for item := range strings.SplitSeq(f.ranges, ";") {
		directive, times, _ := strings.Cut(strings.TrimSpace(item), "=")
		if excluded, ok := strings.CutPrefix(directive, "!"); ok {
			x.Ranges[excluded] = times
			p.Exclude = []string{"x"}
		} else {
			p.Ranges[directive] = times
		}
	}
	return map[string]Definition{"p": p, "x": x}
}

func TestNagios(t *testing.T) {
	if *record {
		recordFacts(t)
	}
	_, all := readFacts(t)
	for line, f := range all {
		want := f.nagios
		if f.says != "" {
			want = f.says
		}
		got := "refused"
		if periods, err := NewPeriods(f.definitions()); err == nil {
			next := periods["p"].Next(f.now)
			got = said(next.IsZero(), next, f.now)
		}
		if got != want {
			t.Errorf("%s:%d: at %s %s: %s is next, want %s", facts, line+1, f.now.Format(minutes), f.ranges, got, want)
		}
	}
}

func said(never bool, next, now time.Time) string {
	switch {
	case never:
		return "never"
	case next.Equal(now):
		return "now"
	}
	return next.In(now.Location()).Format(minutes)
}

func recordFacts(t *testing.T) {
	lines, all := readFacts(t)
	together := make(map[time.Time]map[int]fact)
	for i, f := range all {
		f.nagios = ""
		if startNagios(t, map[int]fact{i: f}, "-v") == nil {
			f.nagios = "refused"
		} else if together[f.now] == nil {
			together[f.now] = map[int]fact{i: f}
		} else {
			together[f.now][i] = f
		}
		all[i] = f
	}
	for now, some := range together {
		for i, next := range startNagios(t, some, "") {
			f := all[i]
			f.nagios = said(next == 0, time.Unix(next, 0), now)
			all[i] = f
		}
	}
	for i, f := range all {
		col := strings.SplitN(lines[i], "|", 4)
		col[2] = " " + f.nagios
		if f.says != "" {
			col[2] += " "
		}
		lines[i] = strings.Join(col, "|")
	}
	if err := os.WriteFile(facts, []byte(strings.Join(lines, "\n")), 0o644); err != nil {
		t.Fatal(err)
	}
}

// startNagios starts Nagios at the facts' time, with a service for each, and
// returns when each is to be checked first, 0 for never. With -v it returns
// nil if Nagios refuses the configuration.
func startNagios(t *testing.T, some map[int]fact, option string) map[int]int64 {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(strings.ReplaceAll(text, "DIR", dir)), 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	var now time.Time
	objects := nagiosObjects
	for i, f := range some {
		now = f.now
		objects += f.objects(i)
	}
	write("objects.cfg", objects)
	config := write("nagios.cfg", nagiosConfig+"use_timezone="+now.Location().String()+"\n")
	if option != "" {
		if exec.Command("/usr/sbin/nagios4", option, config).Run() != nil {
			return nil
		}
		return map[int]int64{}
	}
	shim := filepath.Join(dir, "shim.so")
	if out, err := exec.Command("gcc", "-shared", "-fPIC", "-o", shim, write("shim.c", shimSource)).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	cmd := exec.Command("/usr/sbin/nagios4", config)
	cmd.Env = append(os.Environ(), "LD_PRELOAD="+shim, fmt.Sprintf("SHIFT=%d", now.Unix()-time.Now().Unix()))
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = cmd.Process.Signal(syscall.SIGTERM); _ = cmd.Wait() }()
	for range 100 {
		time.Sleep(50 * time.Millisecond)
		if status, err := os.ReadFile(filepath.Join(dir, "status.dat")); err == nil {
			return nextChecks(string(status), now.Unix())
		}
	}
	t.Fatal("Nagios writes no status")
	return nil
}

func nextChecks(status string, now int64) map[int]int64 {
	found := make(map[int]int64)
	service := regexp.MustCompile(`(?s)service_description=(\d+)\n.*?next_check=(\d+)\n`)
	for _, m := range service.FindAllStringSubmatch(status, -1) {
		i, _ := strconv.Atoi(m[1])
		next, _ := strconv.ParseInt(m[2], 10, 64)
		if next > now && next < now+30 {
			next = now // the second in which Nagios began to count
		}
		found[i] = next
	}
	return found
}

func (f fact) objects(i int) string {
	var b strings.Builder
	for name, d := range f.definitions() {
		fmt.Fprintf(&b, "define timeperiod{\ntimeperiod_name %s%d\nalias a\n", name, i)
		for item := range strings.SplitSeq(f.ranges, ";") { // in the order of the file
			directive, times, _ := strings.Cut(strings.TrimSpace(item), "=")
			if excluded, ok := strings.CutPrefix(directive, "!"); ok == (name == "x") {
				fmt.Fprintf(&b, "%s %s\n", excluded, times)
			}
		}
		for _, x := range d.Exclude {
			fmt.Fprintf(&b, "exclude %s%d\n", x, i)
		}
		b.WriteString("}\n")
	}
	fmt.Fprintf(&b, "define service{\nuse s\nservice_description %d\ncheck_period p%d\n}\n", i, i)
	return b.String()
}

const nagiosConfig = `cfg_file=DIR/objects.cfg
log_file=DIR/nagios.log
object_cache_file=DIR/objects.cache
status_file=DIR/status.dat
lock_file=DIR/nagios.lock
temp_file=DIR/tmp
temp_path=DIR
check_result_path=DIR
query_socket=DIR/qh
check_external_commands=0
nagios_user=root
nagios_group=root
status_update_interval=1
service_inter_check_delay_method=n
execute_service_checks=0
execute_host_checks=0
check_for_updates=0
`

const nagiosObjects = `define command{
command_name c
command_line /bin/true
}
define timeperiod{
timeperiod_name always
alias a
monday 00:00-24:00
}
define contact{
contact_name c
host_notification_period always
service_notification_period always
host_notification_commands c
service_notification_commands c
}
define host{
host_name h
address h
max_check_attempts 1
check_interval 0
contacts c
notification_period always
}
define service{
register 0
name s
host_name h
check_command c
max_check_attempts 1
check_interval 1000
retry_interval 1000
contacts c
notification_period always
}
`

// shimSource shifts the time that Nagios sees.
const shimSource = `#include <stdlib.h>
#include <sys/time.h>
#include <time.h>
int gettimeofday(struct timeval *tv, void *tz) {
	struct timespec ts;
	clock_gettime(CLOCK_REALTIME, &ts);
	tv->tv_sec = ts.tv_sec + atol(getenv("SHIFT"));
	tv->tv_usec = ts.tv_nsec / 1000;
	return 0;
}
time_t time(time_t *t) {
	struct timeval tv;
	gettimeofday(&tv, 0);
	if (t)
		*t = tv.tv_sec;
	return tv.tv_sec;
}
`
