package alf

import "testing"

func TestSelector(t *testing.T) {
	web := &Host{Name: "web1", Hostgroups: []string{"web", "paris"}}
	host, disk := Key{Host: "web1"}, Key{Host: "web1", Service: "disk /"}
	f := func(s Selector, wantHost, wantDisk bool) {
		t.Helper()
		if a, b := s.Takes(host, web), s.Takes(disk, web); a != wantHost || b != wantDisk {
			t.Errorf("%+v takes the host %v and the disk %v, want %v and %v", s, a, b, wantHost, wantDisk)
		}
	}
	f(Selector{}, true, false)
	f(Selector{All: true}, true, true)
	f(Selector{Hosts: []string{"web*"}}, true, false)
	f(Selector{Hosts: []string{"db1"}, Hostgroups: []string{"paris"}, All: true}, true, true)
	f(Selector{Hosts: []string{"db1"}}, false, false)
	f(Selector{Hostgroups: []string{"db"}, All: true}, false, false)
	f(Selector{Services: []string{"disk *"}}, false, true)
	f(Selector{Services: []string{"*"}}, false, true)
	f(Selector{Hosts: []string{"web1"}, Services: []string{"load", "disk /"}}, false, true)
	f(Selector{Hosts: []string{"web1"}, Services: []string{"load"}}, false, false)
}
