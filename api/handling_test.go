package api_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"alf"
	"alf/api/wire"
)

// handled is two hosts, on which people and time have done all that they can:
// web1 is in downtime, its disk is acknowledged, its load flaps; db1 is DOWN, its
// load is CRITICAL, and a downtime of its backup is planned.
func handled(t testing.TB) *house {
	web := &alf.Host{Name: "web1", Hostgroups: []string{"web"}}
	db := &alf.Host{Name: "db1"}
	disk, load := service(web, "disk", "disk"), service(web, "load", "load")
	dbLoad, backup := service(db, "load", "load"), service(db, "backup", "backup")
	at := func(minutes int) time.Time { return epoch.Add(time.Duration(minutes) * time.Minute) }
	patch := &alf.Downtime{ID: "d1", Author: "alice", Text: "patch day", Time: epoch, Start: at(1), End: at(61), Began: at(2)}
	later := &alf.Downtime{ID: "d2", Author: "bob", Text: "new tapes", Time: epoch, Start: at(60), End: at(180), Duration: time.Hour, Trigger: "d1"}
	waits := *patch
	waits.Began = time.Time{}

	up := result(alf.Key{Host: "web1"}, alf.Up, alf.Hard, 1, epoch, "connected")
	up.State.Downtimes = []*alf.Downtime{patch}
	full := result(disk.Key, alf.Critical, alf.Hard, 3, epoch, "DISK CRITICAL")
	full.State.Ack = &alf.Ack{ID: "a1", Author: "alice", Text: "ordered a disk", Time: at(3), Sticky: true, Expires: at(300)}
	full.State.Comments = []*alf.Comment{{ID: "c1", Author: "bob", Text: "rack 7", Time: at(1)}, {ID: "c2", Author: "eve", Text: "again", Time: at(2)}}
	flaps := result(load.Key, alf.Warning, alf.Hard, 3, epoch, "load 9")
	flaps.State.Flap = alf.Flap{On: true, Percent: 34.216}
	flaps.State.Off = alf.SwitchChecks | alf.SwitchNotifications
	flaps.State.Comments = full.State.Comments[:1]
	down := result(alf.Key{Host: "db1"}, alf.Down, alf.Hard, 3, epoch, "no route")
	behind := result(dbLoad.Key, alf.Critical, alf.Hard, 1, epoch, "behind")
	planned := &alf.Event{Key: backup.Key, Time: epoch, Kind: alf.KindCommand, State: alf.State{Downtimes: []*alf.Downtime{later, &waits}}}
	return open(t, alf.NewInventory([]*alf.Host{web, db}, []*alf.Service{ssh(web), ssh(db), disk, load, dbLoad, backup}),
		up, full, flaps, down, behind, planned)
}

// TestHandling: what people did to a state is in the answer, whole.
func TestHandling(t *testing.T) {
	h := handled(t)
	f := func(path, want string) {
		t.Helper()
		s := same[wire.Service](t, h, "/api/v1/services/"+path)
		got, err := json.Marshal(s.Handling)
		if err != nil || string(got) != strings.ReplaceAll(want, "\n", "") {
			t.Errorf("%s = %s, %v, want %s", path, got, err, want)
		}
	}
	f("web1/disk", `{"acknowledged":true,
"acknowledgement":{"id":"a1","author":"alice","text":"ordered a disk","time":"2026-03-01T12:03:00Z","sticky":true,"expires":"2026-03-01T17:00:00Z"},
"downtime_depth":0,"downtimes":[],"host_downtime":true,
"comments":[{"id":"c1","author":"bob","text":"rack 7","time":"2026-03-01T12:01:00Z"},{"id":"c2","author":"eve","text":"again","time":"2026-03-01T12:02:00Z"}],
"flapping":false,"percent_state_change":0,"host_problem":false,"disabled":[],"handled":true}`)
	f("web1/load", `{"acknowledged":false,"acknowledgement":null,"downtime_depth":0,"downtimes":[],"host_downtime":true,
"comments":[{"id":"c1","author":"bob","text":"rack 7","time":"2026-03-01T12:01:00Z"}],
"flapping":true,"percent_state_change":34.22,"host_problem":false,"disabled":["checks","notifications"],"handled":true}`)
	f("db1/load", `{"acknowledged":false,"acknowledgement":null,"downtime_depth":0,"downtimes":[],"host_downtime":false,"comments":[],
"flapping":false,"percent_state_change":0,"host_problem":true,"disabled":[],"handled":false}`)

	got := same[wire.Host](t, h, "/api/v1/hosts/web1")
	if got.DowntimeDepth != 1 || !got.Handled || got.HostDowntime || got.Downtimes[0].Began == nil {
		t.Errorf("web1 = %+v", got.Handling)
	}
}

// TestHandledFilters: what is handled can be asked for, and what is not.
func TestHandledFilters(t *testing.T) {
	h := handled(t)
	f := func(list, query, want string) {
		t.Helper()
		var names []string
		for _, s := range same[wire.Services](t, h, "/api/v1/services"+query).Services {
			names = append(names, s.Key().String())
		}
		if list == "problems" {
			names = nil
			for _, s := range same[wire.Problems](t, h, "/api/v1/problems"+query).Problems {
				names = append(names, s.Key().String())
			}
		}
		if got := strings.Join(names, " "); got != want {
			t.Errorf("%s%s = %s, want %s", list, query, got, want)
		}
	}
	f("services", "?acknowledged=true", "web1!disk")
	f("services", "?acknowledged=false", "db1!backup db1!load web1!load")
	f("services", "?downtime=true", "web1!disk web1!load")
	f("services", "?downtime=false", "db1!backup db1!load")
	f("services", "?flapping=true", "web1!load")
	f("services", "?handled=true&flapping=0", "web1!disk")
	f("services", "?held=true", "web1!load")
	f("services", "?held=false", "db1!backup db1!load web1!disk")
	f("problems", "", "db1 db1!load web1!disk web1!load")
	f("problems", "?handled=false", "db1 db1!load")
	f("problems", "?handled=true", "web1!disk web1!load")
	f("problems", "?handled=true&acknowledged=false", "web1!load")
	if got := same[wire.Hosts](t, h, "/api/v1/hosts?downtime=true"); len(got.Hosts) != 1 || got.Hosts[0].Name != "web1" {
		t.Errorf("hosts in downtime = %+v, want web1", got.Hosts)
	}
	h.get(t, "/api/v1/problems?handled=perhaps", 400)

	got := same[wire.Status](t, h, "/api/v1/status").Counts
	got.Hosts, got.Services = wire.HostCounts{}, wire.ServiceCounts{}
	if want := (wire.Counts{Problems: 4, Handled: 2, Unhandled: 2, Acknowledged: 1, Downtime: 3, Flapping: 1, Held: 1}); got != want {
		t.Errorf("counts = %+v, want %+v", got, want)
	}
}

// TestHostProblem: what is behind another problem says so.
func TestHostProblem(t *testing.T) {
	f := func(name string, link, st alf.State, want bool) {
		t.Helper()
		r, _ := small(t, "ssh", link, st).Row(alf.Key{Host: "h", Service: "s"})
		if got := r.HostProblem(); got != want {
			t.Errorf("%s: HostProblem = %v, want %v", name, got, want)
		}
	}
	ok := alf.State{Type: alf.Hard, Attempt: 1}
	down := alf.State{Status: alf.Down, Type: alf.Soft, Attempt: 1}
	judged := alf.State{Status: alf.Critical, Type: alf.Hard, Attempt: 1, HostProblem: true}
	f("all is well", ok, ok, false)
	f("the host is pending", alf.State{}, ok, false)
	f("the host is DOWN", down, ok, true)
	f("the host is UP again, the service not yet checked", ok, judged, true)

	far := small(t, "ssh", alf.State{Status: alf.Unreachable, Type: alf.Hard, Attempt: 3}, ok)
	if r, _ := far.Row(alf.Key{Host: "h"}); !r.HostProblem() {
		t.Error("an UNREACHABLE host is not marked")
	}
}

func TestDowntimes(t *testing.T) {
	h := handled(t)
	f := func(query string, want ...string) {
		t.Helper()
		var got []string
		for _, d := range same[wire.Downtimes](t, h, "/api/v1/downtimes"+query).Downtimes {
			got = append(got, string(d.ID)+keys(d.Keys))
		}
		if !slices.Equal(got, want) {
			t.Errorf("downtimes%s = %q, want %q", query, got, want)
		}
	}
	f("", "d1 db1!backup web1", "d2 db1!backup")
	f("?limit=1&offset=1", "d2 db1!backup")
	f("?state=active", "d1 web1")
	f("?state=planned", "d1 db1!backup", "d2 db1!backup")
	f("?host=web1", "d1 web1")
	f("?host=web1&host=db1&state=planned", "d1 db1!backup", "d2 db1!backup")
	f("?hostgroup=web", "d1 web1")
	f("?service=backup", "d1 db1!backup", "d2 db1!backup")
	f("?host=db1&service=load")
	h.get(t, "/api/v1/downtimes?state=over", 400)
	h.get(t, "/api/v1/downtimes?host=nobody", 404)
	h.get(t, "/api/v1/downtimes?host=web1&service=nothing", 404)

	all := same[wire.Downtimes](t, h, "/api/v1/downtimes")
	if d := all.Downtimes[0]; all.Total != 2 || !d.InEffect || !d.Began.Equal(epoch.Add(2*time.Minute)) || d.Flexible {
		t.Errorf("downtimes = %+v, want the first in effect since it began on web1", all)
	}
	if d := all.Downtimes[1]; d.InEffect || d.Began != nil || !d.Flexible || d.Duration != 3600 || d.Trigger != "d1" || d.Author != "bob" {
		t.Errorf("downtime = %+v, want a flexible one that waits", d)
	}
}

func TestComments(t *testing.T) {
	h := handled(t)
	f := func(query string, want ...string) {
		t.Helper()
		var got []string
		for _, c := range same[wire.Comments](t, h, "/api/v1/comments"+query).Comments {
			got = append(got, string(c.ID)+keys(c.Keys))
		}
		if !slices.Equal(got, want) {
			t.Errorf("comments%s = %q, want %q", query, got, want)
		}
	}
	f("", "c2 web1!disk", "c1 web1!disk web1!load")
	f("?host=web1&service=load", "c1 web1!load")
	f("?host=db1")
	f("?limit=1", "c2 web1!disk")
	h.get(t, "/api/v1/comments?state=planned", 400)
	h.get(t, "/api/v1/comments?host=nobody", 404)
}

func keys(all []wire.Key) (out string) {
	for _, k := range all {
		out += " " + alf.Key{Host: alf.HostName(k.Host), Service: alf.ServiceName(k.Service)}.String()
	}
	return out
}
