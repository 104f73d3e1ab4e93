package api_test

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"alf"
	"alf/api/wire"
)

// month is a house with 100 hours of history: web1 is UP, its load is CRITICAL
// (HARD) from hour 50 to 60, and soft an hour before; Alf did not run from hour
// 80 to 90. The disk of db1 is there from hour 25 on.
func month(t *testing.T) *house {
	web := &alf.Host{Name: "web1", Hostgroups: []string{"paris"}}
	db := &alf.Host{Name: "db1", Hostgroups: []string{"paris"}}
	none := &alf.Service{Key: alf.Key{Host: "db1"}, Host: db, Builtin: alf.CheckNone}
	load, disk := service(web, "load", "load"), service(db, "disk", "disk")
	at := func(hour int) time.Time { return epoch.Add(time.Duration(hour) * time.Hour) }
	hard := func(key alf.Key, status alf.Status, hour int) *alf.Event {
		e := result(key, status, alf.Hard, 1, at(hour), "output")
		e.State.LastHard, e.State.LastHardChange = status, at(hour)
		return e
	}
	soft := hard(load.Key, alf.OK, 0)
	soft.Time, soft.State.Status, soft.State.Type, soft.State.LastChange = at(49), alf.Critical, alf.Soft, at(49)
	critical := hard(load.Key, alf.Critical, 50)
	critical.State.LastChange = at(49)
	stopped := &alf.Event{Time: at(80), Kind: alf.KindDaemon, Text: alf.Stopped}
	started := &alf.Event{Time: at(90), Kind: alf.KindDaemon, Text: alf.Started + " 1.2.3"}
	return open(t, alf.NewInventory([]*alf.Host{web, db}, []*alf.Service{ssh(web), none, load, disk}),
		hard(alf.Key{Host: "web1"}, alf.Up, 0), hard(load.Key, alf.OK, 0), hard(disk.Key, alf.Warning, 25),
		soft, critical, hard(load.Key, alf.OK, 60), stopped, started)
}

func hundred(query string) string {
	return "/api/v1/availability?" + query + "&from=" + epoch.Format(time.RFC3339) + "&until=" + epoch.Add(100*time.Hour).Format(time.RFC3339)
}

func TestAvailability(t *testing.T) {
	h := month(t)
	hours := func(shares ...wire.Share) string {
		var out []string
		for _, s := range shares {
			if math.Abs(s.Seconds/3600-s.Percent) > 1e-9 {
				t.Errorf("%v s of 100 h are %v%%", s.Seconds, s.Percent)
			}
			out = append(out, fmt.Sprintf("%g", s.Seconds/3600))
		}
		return strings.Join(out, " ")
	}
	f := func(query, want string) wire.Availability {
		t.Helper()
		a := same[wire.Availability](t, h, hundred(query))
		if !a.From.Equal(epoch) || a.Seconds != 100*3600 {
			t.Errorf("%s is about %v and %v s", query, a.From, a.Seconds)
		}
		var out []string
		for _, s := range a.Hosts {
			out = append(out, fmt.Sprint(s.Host, ": ", hours(s.Up, s.Down, s.Unreachable, s.NotRunning, s.NoData)))
		}
		for _, s := range a.Services {
			out = append(out, fmt.Sprint(s.Host, " ", s.Service, ": ", hours(s.OK, s.Warning, s.Critical, s.Unknown, s.NotRunning, s.NoData)))
		}
		if got := strings.Join(out, ", "); got != want {
			t.Errorf("%s = %s, want %s", query, got, want)
		}
		return a
	}
	f("host=web1", "web1: 90 0 0 10 0, web1 load: 80 0 10 0 10 0")
	f("host=web1&soft=true", "web1: 90 0 0 10 0, web1 load: 79 0 11 0 10 0")
	a := f("host=web1&service=load", "web1 load: 80 0 10 0 10 0")
	if s := a.Services[0]; math.Abs(*s.OK.PercentKnown-100*80./90) > 1e-9 || s.NotRunning.PercentKnown != nil || a.HostAverage != nil {
		t.Errorf("of what is known: %+v", a)
	}
	a = f("hostgroup=paris", "web1: 90 0 0 10 0, db1 disk: 0 65 0 0 10 25, web1 load: 80 0 10 0 10 0")
	if s := a.ServiceAverage; hours(s.OK, s.Warning, s.Critical, s.NotRunning, s.NoData) != "40 32.5 5 10 12.5" {
		t.Errorf("average = %+v", s)
	}
	f("hostgroup=paris&service=disk", "db1 disk: 0 65 0 0 10 25")
}

func TestAvailabilityMistakes(t *testing.T) {
	h := month(t)
	f := func(path string, status int, want string) {
		t.Helper()
		if body := h.get(t, path, status).Body.String(); !strings.Contains(body, want) {
			t.Errorf("%s = %s, want %q in it", path, body, want)
		}
	}
	const path = "/api/v1/availability"
	f(path, 400, "one of host and hostgroup must be given")
	f(path, 400, "from is missing")
	f(path+"?host=web1&hostgroup=paris&from=1d", 400, "one of host and hostgroup")
	f(path+"?host=web1&from=1d&until=2d", 400, "from must be before until")
	f(path+"?host=web1&from=2199-01-01T00:00:00Z", 400, "and before now")
	f(path+"?host=web1&from=x", 400, `from: time \"x\"`)
	f(path+"?host=web1&from=1d&month=1", 400, `parameter \"month\"`)
	f(hundred("host=web9"), 404, `there is no host \"web9\"`)
	f(hundred("host=web1&service=x"), 404, `there is no service \"x\"`)
	f(hundred("hostgroup=x"), 404, `there is no hostgroup \"x\"`)
	f(hundred("hostgroup=paris&service=x"), 404, "nothing is checked there")
}

// What is still to come is not reported on.
func TestAvailabilityOfTheFuture(t *testing.T) {
	a, _ := both[wire.Availability](t, month(t), "/api/v1/availability?host=web1&from="+epoch.Format(time.RFC3339)+"&until=2199-01-01T00:00:00Z")
	if now := time.Now(); a.Until.After(now) || a.Until.Before(now.Add(-time.Minute)) {
		t.Errorf("reported until %v, want now", a.Until)
	}
}
