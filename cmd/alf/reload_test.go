package main

import (
	"fmt"
	"strings"
	"testing"

	"alf"
	"alf/checker"
	"alf/config"
)

// inventoryOf returns hosts with as many services each, and Alf's own.
func inventoryOf(services map[string]int) *alf.Inventory {
	var hosts []*alf.Host
	var all []*alf.Service
	for name, n := range services {
		h := &alf.Host{Name: alf.HostName(name), Where: alf.Position{Line: 1}}
		hosts = append(hosts, h)
		all = append(all, &alf.Service{Key: alf.Key{Host: h.Name}, Host: h, Where: h.Where})
		for i := range n {
			all = append(all, &alf.Service{Key: alf.Key{Host: h.Name, Service: alf.ServiceName(fmt.Sprint("s", i))}, Host: h, Where: h.Where})
		}
	}
	own := &alf.Host{Name: alf.OwnHost}
	return alf.NewInventory(append(hosts, own), append(all, &alf.Service{Key: alf.Key{Host: own.Name}, Host: own}))
}

// TestRefusal: what max_removed says, of hosts and of services.
func TestRefusal(t *testing.T) {
	hosts := func(from, to, services int) map[string]int {
		m := make(map[string]int)
		for i := from; i < to; i++ {
			m[fmt.Sprintf("h%03d", i)] = services
		}
		return m
	}
	f := func(name string, prev, next map[string]int, most config.Share, want string) {
		t.Helper()
		was := inventoryOf(prev)
		err := newRemoval(checker.Compare(was, inventoryOf(next)), was).refusal(most)
		if text := fmt.Sprint(err); (err == nil) != (want == "") || !strings.Contains(text, want) {
			t.Errorf("%s: refusal = %v, want %q", name, err, want)
		}
	}
	five := config.Share{Percent: 5}
	f("5 of 100 hosts", hosts(0, 100, 10), hosts(5, 100, 10), five, "")
	f("6 of 100 hosts", hosts(0, 100, 10), hosts(6, 100, 10), five,
		`6 of 100 hosts would be removed (h000, h001, h002 and 3 more), and max_removed = "5%" allows 5 at a time`)
	f("one of two hosts, however many services", hosts(0, 2, 50), hosts(1, 2, 50), five, "")
	f("two of three hosts", hosts(0, 3, 1), hosts(2, 3, 1), five, "2 of 3 hosts")
	f("the last host", hosts(0, 1, 1), nil, five, "no hosts are left")
	f("all of them, but there are others", hosts(0, 3, 1), hosts(5, 8, 1), five, "3 of 3 hosts would be removed")
	f("the last host, if that is allowed", hosts(0, 1, 1), nil, config.Share{Percent: 100}, "")
	f("ten services", hosts(0, 10, 2), hosts(0, 10, 1), five, "")
	f("eleven of 22 services", hosts(0, 11, 2), hosts(0, 11, 1), five, "11 of 22 services would be removed from hosts that stay (h000!s1,")
	f("a check of 100 on each host", hosts(0, 10, 100), hosts(0, 10, 99), five, "")
	f("none at all", hosts(0, 2, 2), hosts(1, 2, 2), config.Share{}, `max_removed = "0" allows 0`)
	f("a number", hosts(0, 9, 2), hosts(3, 9, 2), config.Share{Number: 3}, "")
	f("a number and one more", hosts(0, 9, 2), hosts(4, 9, 2), config.Share{Number: 3}, `max_removed = "3" allows 3`)
	f("more than before", hosts(0, 2, 2), hosts(0, 9, 9), config.Share{}, "")
	f("from nothing to nothing", nil, nil, five, "")
}
