package api_test

import (
	"context"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"alf"
	"alf/api"
	"alf/api/wire"
	"alf/internal/sanitize/hostile"
	"alf/state"
)

// obedient is the office, of which orders change the states, and a host behind
// db1.
func obedient(t *testing.T) (*house, *http.Client) {
	h := office(t)
	behind := &alf.Host{Name: "app1", Parents: []alf.HostName{"db1"}}
	old := h.options.Inventory()
	inventory := alf.NewInventory(append(slices.Clone(old.Hosts()), behind), append(slices.Clone(old.Services()), ssh(behind)))
	h.options.Inventory = func() *alf.Inventory { return inventory }
	h.options.Submit = h.apply
	h.follow(t)
	return h, socket(t, h)
}

// apply does what the checker does with what changes a state by itself.
func (h *house) apply(ctx context.Context, c alf.Command) (alf.ID, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.orders = append(h.orders, c)
	s, prev := h.options.Inventory().Service(c.Key), alf.State{}
	for e := range h.record.Heads(ctx) {
		if e.Key == c.Key {
			prev = e.State
		}
	}
	if c.Verb == alf.Recheck {
		return 0, nil
	}
	next, change, err := state.Apply(s, prev, c, state.Around{Now: time.Now()})
	if err != nil || change == 0 {
		return 0, err
	}
	e := &alf.Event{Time: c.Time, Key: c.Key, Kind: alf.KindCommand, Change: change, State: next}
	return e.ID, errors.Join(h.record.Append(ctx, []*alf.Event{e}), h.view.Wait(ctx, e.ID))
}

// order gives an order to all whom it selects and returns the answer.
func order(t *testing.T, c *http.Client, body string) (out wire.Ordered) {
	t.Helper()
	text := send(t, c, "POST", "/api/v1/orders", body, 200)
	_, text, _ = strings.Cut(text, "\r\n\r\n")
	checkJSON(t, text)
	if err := json.Unmarshal([]byte(text), &out); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	return out
}

// about writes whom an order was about, and what was refused.
func about(out wire.Ordered) string {
	var names []string
	for _, target := range out.Targets {
		name := target.Host
		if target.Service != "" {
			name += "!" + target.Service
		}
		if target.Error != "" {
			name += " (" + string(target.Error) + ")"
		}
		names = append(names, name)
	}
	return strings.Join(names, " ")
}

func TestSelection(t *testing.T) {
	h, c := obedient(t)
	f := func(body, want string) {
		t.Helper()
		if got := about(order(t, c, `{"dry_run":true,`+body+`}`)); got != want {
			t.Errorf("%s is about %q, want %q", body, got, want)
		}
	}
	const (
		comment = `"order":"comment","comment":"x",`
		odd     = "db1!a/b?c#d%2F e;ü"
	)
	f(comment+`"hosts":["web1"]`, "web1")
	f(comment+`"hosts":["*"]`, "app1 db1 web1")
	f(comment+`"hosts":["?eb1","db1"]`, "db1 web1")
	f(comment+`"hostgroups":["paris"]`, "db1 web1")
	f(comment+`"hosts":["app1"],"hostgroups":["web"]`, "app1 web1")
	f(comment+`"services":["lo*"]`, "db1!load web1!load")
	f(comment+`"services":["load","backup"],"hosts":["w*"]`, "web1!backup web1!load")
	f(comment+`"all_services":true,"hosts":["db1"]`, "db1 "+odd+" db1!load")
	f(comment+`"states":["CRITICAL","DOWN"]`, "db1 web1!disk /")
	f(comment+`"states":["PENDING"]`, "app1 web1!backup")
	// What cannot be done is left out for many, and refused for one.
	f(`"order":"acknowledge","hosts":["*"],"all_services":true`, "db1 "+odd+" web1!disk /")
	f(`"order":"acknowledge","hosts":["web1"],"services":["load"]`, `web1!load ("web1!load": there is no problem to acknowledge)`)
	f(`"order":"unacknowledge","hosts":["web1"]`, `web1 ("web1": it is not acknowledged)`)
	f(`"order":"recheck","hosts":["web1"],"services":["backup"]`, `web1!backup ("web1!backup" has nothing to run: its results are submitted)`)
	f(`"order":"recheck","hosts":["web1"],"services":["*"]`, "web1!disk / web1!load")
	f(`"order":"downtime","duration":"1h","hosts":["db1"],"children":"too"`, "db1 app1")
	f(`"order":"downtime","duration":"1h","hosts":["db1"],"all_services":true,"children":"triggered"`, "db1 "+odd+" db1!load app1")
	if len(h.orders) != 0 {
		t.Errorf("a dry run ordered %+v", h.orders)
	}
}

func TestRefusedOrders(t *testing.T) {
	h, c := obedient(t)
	f := func(body string, status int, want string) {
		t.Helper()
		got := send(t, c, "POST", "/api/v1/orders", body, status)
		_, text, _ := strings.Cut(got, "\r\n\r\n")
		checkJSON(t, text)
		var e wire.Error
		if err := json.Unmarshal([]byte(text), &e); err != nil || string(e.Detail) != want {
			t.Errorf("%.200s = %q, %v, want %q", body, e.Detail, err, want)
		}
	}
	web := func(rest string) string { return `{"hosts":["web1"],` + rest + `}` }
	down := func(rest string) string { return web(`"order":"downtime",` + rest) }
	f(web(`"order":"dance"`), 400, `order "dance" is none of acknowledge, unacknowledge, downtime, comment, cancel, recheck, disable, enable`)
	f(`{"order":"recheck"}`, 400, `nobody is selected: give hosts, hostgroups, services or states; "*" is all`)
	f(`{"order":"acknowledge","all_services":true}`, 400, `nobody is selected: give hosts, hostgroups, services or states; "*" is all`)
	f(`{"order":"recheck","hosts":["web9","db9"],"hostgroups":["rome"]}`, 400,
		"there is no host \"web9\"\nthere is no host \"db9\"\nthere is no hostgroup \"rome\", or no host is in it")
	f(web(`"order":"recheck","services":["nope"]`), 404, `there is no service "nope" on host "web1"`)
	f(web(`"order":"recheck","services":["no*"]`), 404, `nothing that can be run is selected`)
	f(web(`"order":"comment","comment":"x","services":["no*"]`), 404, `nothing is selected`)
	f(`{"order":"unacknowledge","hosts":["*"]}`, 404, `nothing that is acknowledged is selected`)
	f(web(`"order":"recheck","services":["load"],"all_services":true`), 400, `services and all_services exclude each other`)
	f(web(`"order":"recheck","states":["sad"]`), 400, `state "sad" is none of UP, DOWN, UNREACHABLE, OK, WARNING, CRITICAL, UNKNOWN, PENDING`)
	f(`{"order":"recheck","states":["CRITICAL"],"services":["load"],"hosts":["*"]}`, 404, `nothing that can be run is selected`)
	f(`{"order":"acknowledge","hosts":["w*"]}`, 404, `there is no problem to acknowledge among what is selected`)
	f(`{"order":"cancel","id":"x"}`, 404, `nothing was ordered under the id "x", or it is over`)
	f(`{"order":"cancel"}`, 400, `cancel needs the id of what is to be cancelled, or downtimes, or recurring`)
	f(`{"order":"cancel","id":"x","downtimes":true}`, 400, `of id, downtimes and recurring, cancel takes only one`)
	f(`{"order":"cancel","downtimes":true}`, 400, `nobody is selected: give hosts, hostgroups, services or states; "*" is all`)
	f(`{"order":"cancel","downtimes":true,"hosts":["*"]}`, 404, `nothing that is selected has a downtime`)
	f(`{"order":"cancel","recurring":"x"}`, 404, `nothing is there of a recurring downtime "x"`)
	f(web(`"order":"recheck","downtimes":true,"recurring":"x"`), 400, "downtimes has no meaning for recheck\nrecurring has no meaning for recheck")
	f(web(`"order":"comment"`), 400, `comment is empty`)
	f(web(`"order":"comment","comment":" \n"`), 400, `comment is empty`)
	f(web(`"order":"comment","comment":"`+strings.Repeat("x", 4097)+`"`), 400, `the comment has 4097 bytes, more than 4096`)
	f(web(`"order":"comment","comment":"x","id":"`+strings.Repeat("x", 101)+`"`), 400, `id has 101 bytes, more than 100`)
	f(web(`"order":"comment","comment":"x","author":"`+strings.Repeat("x", 101)+`"`), 400, `author has 101 bytes, more than 100`)
	f(web(`"order":"comment","comment":"x","id":"a\nb"`), 400, "id \"a\nb\" holds what does not show")
	f(web(`"order":"comment","comment":"x","author":"\u001b[2J"`), 400, `author "\x1b[2J" holds what does not show`)
	f(web("\"order\":\"comment\",\"comment\":\"x\",\"id\":\"\xff\""), 400, "id \"\ufffd\" holds what does not show")
	f(web(`"order":"recheck","sticky":true,"comment":"x","later":true`), 400,
		"comment has no meaning for recheck\nsticky has no meaning for recheck\nlater has no meaning for recheck")
	f(web(`"order":"recheck","sudo":true`), 400, `the body cannot be read: json: unknown field "sudo"`)
	f(web(`"order":"disable"`), 400, `what is missing: checks, passive_checks, notifications, flap_detection`)
	f(web(`"order":"disable","what":["all"]`), 400, `what: "all" is none of checks, passive_checks, notifications, flap_detection`)
	f(web(`"order":"acknowledge","expires":"2020-01-01T00:00:00Z"`), 400, `expires is not in the future`)
	f(web(`"order":"acknowledge","expires":"9999-01-01T00:00:00Z"`), 400, `expires is more than 100 years away`)

	f(down(`"comment":"x"`), 400, `a downtime needs end, or a duration that is more than 0`)
	f(down(`"duration":"0s"`), 400, `a downtime needs end, or a duration that is more than 0`)
	f(down(`"duration":"99999999h"`), 400, `the body cannot be read: duration "99999999h" is too long`)
	f(down(`"duration":"99999d"`), 400, `the body cannot be read: duration "99999d" is too long`)
	f(down(`"duration":"5x"`), 400, `the body cannot be read: duration "5x" is not like 90m, 4h, 2d or 1w`)
	f(down(`"duration":"-1h"`), 400, `the body cannot be read: duration "-1h" is not like 90m, 4h, 2d or 1w`)
	f(down(`"duration":"1e9h"`), 400, `the body cannot be read: duration "1e9h" is not like 90m, 4h, 2d or 1w`)
	f(down(`"duration":"2000000h"`), 400, `duration is more than 100 years`)
	f(down(`"duration":"1h","end":"2099-01-01T00:00:00Z"`), 400, `end and duration exclude each other, unless flexible`)
	f(down(`"flexible":true,"duration":"1h"`), 400, `a flexible downtime needs end, until when a problem can begin it, and duration`)
	f(down(`"end":"2020-01-01T00:00:00Z"`), 400, `the downtime ends before it starts`)
	f(down(`"start":"2019-01-01T00:00:00Z","end":"2020-01-01T00:00:00Z"`), 400, `the downtime is over already`)
	f(down(`"end":"9999-12-31T23:59:59-12:00"`), 400, `end is more than 100 years away`)
	f(down(`"start":"0000-01-01T00:00:00+12:00","duration":"1h"`), 400, "start is more than 100 years away\nthe downtime is over already")
	f(down(`"duration":"1h","children":"all"`), 400, `children "all" is neither too nor triggered`)
	f(down(`"duration":"1h","children":"too","services":["load"]`), 400, `children: only hosts have others behind them`)
	f(down(`"duration":"1h","later":true,"states":["DOWN"]`), 400, `later and states exclude each other: nobody knows what state a host will have`)
	f(down(`"duration":"1h","trigger":"x"`), 400, `there is no downtime "x" to begin with`)
	f(down(`"duration":"1h","trigger":"x","id":"x"`), 400, `a downtime cannot begin with itself`)
	if len(h.orders) != 0 {
		t.Errorf("what was refused ordered %+v", h.orders)
	}
}

// TestOrderOne: the path names whom an order is about.
func TestOrderOne(t *testing.T) {
	h, c := obedient(t)
	const disk = "/api/v1/services/web1/disk%20%2F/"
	f := func(path, body string, status int, want string) {
		t.Helper()
		if got := send(t, c, "POST", path, body, status); !strings.Contains(got, want) {
			t.Errorf("POST %s %s = %s, want %q", path, body, got, want)
		}
	}
	f(disk+"acknowledge", `{"comment":"mine","id":"t","author":"alice","sticky":true}`, 200,
		`{"id":"t","order":"acknowledge","dry_run":false,"taken":1,"refused":0,"targets":[{"host":"web1","service":"disk /","error":""}]}`)
	if ack := h.orders[0]; ack.Author != "alice (by "+me(t)+")" || !ack.Sticky || ack.Text != "mine" {
		t.Errorf("ordered %+v", ack)
	}
	f(disk+"unacknowledge", `{}`, 200, `"taken":1`)
	f(disk+"unacknowledge", `{}`, 409, `it is not acknowledged`)
	f(disk+"downtime", `{"duration":"2d"}`, 200, `"taken":1`)
	if d := h.orders[len(h.orders)-1]; d.End.Sub(d.Start) != 48*time.Hour || d.ID == "" || d.Author != me(t) {
		t.Errorf("ordered %+v", d)
	}
	f(disk+"downtime", `{"duration":"2h","children":"too"}`, 400, `only hosts have others behind them`)
	f(disk+"comment", `{"comment":"hello"}`, 200, `"taken":1`)
	f(disk+"disable", `{"what":["checks","notifications"]}`, 200, `"id":"","order":"disable"`)
	f(disk+"enable", `{"what":["checks"]}`, 200, `"taken":1`)
	f(disk+"cancel", `{"id":"nope"}`, 404, `nothing was ordered under the id \"nope\", or it is over`)
	f(disk+"downtime", `{"duration":"1h","hosts":["db1"]}`, 400, `the path says what is ordered, and for whom`)
	f(disk+"downtime", `{"duration":"1h","order":"comment"}`, 400, `the path says what is ordered, and for whom`)
	f("/api/v1/services/web1/load/acknowledge", `{}`, 409, `there is no problem to acknowledge`)
	f("/api/v1/services/web1/nope/comment", `{"comment":"x"}`, 404, `there is no service`)
	f("/api/v1/hosts/web9/comment", `{"comment":"x"}`, 404, `there is no host`)
	f("/api/v1/hosts/web1%21load/comment", `{"comment":"x"}`, 404, `there is no host`)
	f("/api/v1/hosts/%2A/comment", `{"comment":"x"}`, 404, `there is no host`)
	f("/api/v1/hosts/db1/downtime", `{"duration":"1h","children":"triggered"}`, 200, `"taken":2`)
}

// TestOrderAsXML: the answer says the same in both forms.
func TestOrderAsXML(t *testing.T) {
	_, c := obedient(t)
	fields := map[string]string{"acknowledge": `"id":"all"`, "unacknowledge": `"author":"x"`, "downtime": `"id":"all","duration":"1h"`,
		"comment": `"comment":"x"`, "disable": `"what":["checks"]`, "enable": `"what":["checks"]`, "cancel": `"id":"all"`, "recheck": `"author":"x"`}
	for _, name := range wire.Orders {
		if name == wire.OrderUnacknowledge {
			order(t, c, `{"order":"acknowledge","states":["CRITICAL"]}`)
		}
		text := send(t, c, "POST", "/api/v1/orders?format=xml", `{"order":"`+name+`","hosts":["*"],"all_services":true,`+fields[name]+`}`, 200)
		_, text, _ = strings.Cut(text, "\r\n\r\n")
		checkXML(t, text)
		var out wire.Ordered
		if err := xml.Unmarshal([]byte(text), &out); err != nil || out.Order != name || out.Taken == 0 || len(out.Targets) != out.Taken {
			t.Errorf("%s = %+v, %v in %s", name, out, err, text)
		}
	}
}

// TestOrderTwice: an ID says one thing, once.
func TestOrderTwice(t *testing.T) {
	h, c := obedient(t)
	const hour = `{"order":"downtime","hosts":["*"],"id":"move","duration":"1h"}`
	for range 2 {
		if out := order(t, c, hour); out.Taken != 3 || out.Refused != 0 {
			t.Errorf("%+v", out)
		}
	}
	if out := order(t, c, strings.Replace(hour, "1h", "2h", 1)); out.Taken != 0 || out.Refused != 3 ||
		out.Targets[0].Error != `that ID was given before, to an order that says something else: take another ID` {
		t.Errorf("with another duration: %+v", out)
	}
	n := 0
	for range h.record.Entries(t.Context(), state.Scope{Key: alf.Key{Host: "app1"}}, time.Time{}, time.Time{}) {
		n++
	}
	if n != 1 {
		t.Errorf("%d events, want one", n)
	}
}

// TestCancel: one ID takes all back that was ordered under it, or that of some.
func TestCancel(t *testing.T) {
	_, c := obedient(t)
	order(t, c, `{"order":"downtime","hosts":["*"],"id":"a","duration":"1h"}`)
	order(t, c, `{"order":"comment","hosts":["web1"],"id":"a","comment":"x"}`)
	order(t, c, `{"order":"acknowledge","states":["CRITICAL"],"id":"a"}`)
	order(t, c, `{"order":"comment","hosts":["web1"],"id":"b","comment":"x"}`)
	f := func(body, want string) {
		t.Helper()
		if got := about(order(t, c, body)); got != want {
			t.Errorf("%s is about %q, want %q", body, got, want)
		}
	}
	f(`{"order":"cancel","id":"a","hosts":["db*"]}`, "db1")
	f(`{"order":"cancel","id":"a","dry_run":true}`, "app1 web1 web1 web1!disk /")
	f(`{"order":"cancel","id":"a"}`, "app1 web1 web1 web1!disk /")
	send(t, c, "POST", "/api/v1/orders", `{"order":"cancel","id":"a"}`, 404)
	send(t, c, "POST", "/api/v1/hosts/web1/cancel", `{"id":"b"}`, 200)

	// What would begin with it would wait in vain.
	order(t, c, `{"order":"downtime","hosts":["web1"],"id":"a","start":"`+in(time.Hour)+`","duration":"1h"}`)
	order(t, c, `{"order":"downtime","hosts":["db1"],"id":"b","trigger":"a","end":"`+in(5*time.Hour)+`"}`)
	order(t, c, `{"order":"downtime","hosts":["app1"],"id":"c","trigger":"b","end":"`+in(5*time.Hour)+`"}`)
	f(`{"order":"cancel","id":"a"}`, "web1 db1 app1")
}

// TestCancelOnHost: to cancel for a host takes back what covers its services, too.
func TestCancelOnHost(t *testing.T) {
	_, c := obedient(t)
	const down = `{"order":"downtime","hosts":["*"],"all_services":true,"id":"a","duration":"1h"}`
	f := func(path, body, want string) {
		t.Helper()
		order(t, c, down)
		_, text, _ := strings.Cut(send(t, c, "POST", path, body, 200), "\r\n\r\n")
		var out wire.Ordered
		if err := json.Unmarshal([]byte(text), &out); err != nil || about(out) != want {
			t.Errorf("%s %s is about %q, %v, want %q", path, body, about(out), err, want)
		}
	}
	const web1 = "web1 web1!backup web1!disk / web1!load"
	f("/api/v1/orders", `{"order":"cancel","id":"a","hosts":["web1"]}`, web1)
	f("/api/v1/orders", `{"order":"cancel","id":"a","hosts":["web*"],"services":["load"]}`, "web1!load")
	f("/api/v1/hosts/web1/cancel", `{"id":"a"}`, web1)
	f("/api/v1/services/web1/load/cancel", `{"id":"a"}`, "web1!load")
}

// TestCancelDowntimes: without an ID, all downtimes of the selected are cancelled,
// or what is there of one that recurs; nothing is left to wait for them in vain.
func TestCancelDowntimes(t *testing.T) {
	h, c := obedient(t)
	f := func(body, want string) {
		t.Helper()
		if got := about(order(t, c, `{"order":"cancel",`+body+`}`)); got != want {
			t.Errorf("%s is about %q, want %q", body, got, want)
		}
	}
	order(t, c, `{"order":"downtime","hosts":["web1","db1"],"id":"a","start":"`+in(time.Hour)+`","duration":"1h"}`)
	order(t, c, `{"order":"downtime","hosts":["web1"],"services":["load"],"id":"b","duration":"1h"}`)
	order(t, c, `{"order":"comment","hosts":["web1"],"id":"a","comment":"x"}`)
	order(t, c, `{"order":"downtime","hosts":["app1"],"id":"c","trigger":"a","end":"`+in(5*time.Hour)+`"}`)
	f(`"downtimes":true,"hosts":["web1"],"services":["*"],"dry_run":true`, "web1!load")
	f(`"downtimes":true,"hosts":["web1"]`, "web1 web1!load")
	f(`"downtimes":true,"hosts":["db1"]`, "db1 app1")

	for i, id := range []string{"backup@2035-01-01T00:00:00Z", "backup@2035-01-02T00:00:00Z", "backup@x"} {
		at := alf.Command{Verb: alf.ScheduleDowntime, Key: alf.Key{Host: "web1"}, ID: id, Author: "[downtime.backup]",
			Start: time.Now().Add(time.Duration(i) * time.Hour), End: time.Now().Add(9 * time.Hour)}
		if id == "backup@x" {
			at.Author = "me"
		}
		if _, err := h.apply(t.Context(), at); err != nil {
			t.Fatal(err)
		}
	}
	f(`"recurring":"backup"`, "web1 web1")
	f(`"id":"backup@x"`, "web1")
}

func in(d time.Duration) string { return time.Now().Add(d).Format(time.RFC3339) }

// TestTriggered: what waits for a downtime is there before that may begin, and
// nothing is to wait for one that has.
func TestTriggered(t *testing.T) {
	h, c := obedient(t)
	order(t, c, `{"order":"downtime","hosts":["db1"],"id":"a","duration":"1h","children":"triggered"}`)
	if first, second := h.orders[0], h.orders[1]; first.Key.Host != "app1" || first.Trigger != "a" || second.Key.Host != "db1" || second.Trigger != "" {
		t.Errorf("ordered %+v, then %+v", first, second)
	}
	order(t, c, `{"order":"downtime","hosts":["web1"],"id":"d","duration":"1h"}`)
	if got := send(t, c, "POST", "/api/v1/hosts/db1/downtime", `{"duration":"1h","trigger":"d"}`, 409); !strings.Contains(got, "has begun already") {
		t.Errorf("%s", got)
	}
}

// TestLater: what is ordered for those who come later, too, says whom it is for.
func TestLater(t *testing.T) {
	h, c := obedient(t)
	order(t, c, `{"order":"downtime","hosts":["w*"],"hostgroups":["paris"],"all_services":true,"duration":"1h","later":true}`)
	want := alf.Selector{Hosts: []string{"w*"}, Hostgroups: []string{"paris"}, All: true}
	for _, o := range h.orders {
		if fmt.Sprint(o.For) != fmt.Sprint(want) {
			t.Errorf("for %+v, want %+v", o.For, want)
		}
	}
}

// TestTimeOfDowntime: a time has its own offset, so that no change of a clock
// moves it, and a day is 24 hours.
func TestTimeOfDowntime(t *testing.T) {
	h, c := obedient(t)
	order(t, c, `{"order":"downtime","hosts":["web1"],"start":"2035-10-28T02:30:00+02:00","end":"2035-10-28T02:30:00+01:00"}`)
	order(t, c, `{"order":"downtime","hosts":["web1"],"start":"2035-10-28T00:00:00+02:00","duration":"1d"}`)
	for i, want := range []time.Duration{time.Hour, 24 * time.Hour} {
		if d := h.orders[i]; d.End.Sub(d.Start) != want || d.Start.Location() != time.UTC {
			t.Errorf("from %v to %v, want %v", d.Start, d.End, want)
		}
	}
	order(t, c, `{"order":"downtime","hosts":["db1"],"start":"`+in(-time.Hour)+`","duration":"2h"}`)
	if row := h.get(t, "/api/v1/hosts/db1", 200).Body.String(); !strings.Contains(row, `"downtime_depth":1`) {
		t.Errorf("a downtime that began an hour ago: %s", row)
	}
}

// TestHostileOrder: whatever stands in an order, what comes of it is fit to show.
func TestHostileOrder(t *testing.T) {
	h, c := obedient(t)
	for _, x := range hostile.Outputs() {
		words, _ := json.Marshal(x.Text[:min(len(x.Text), 1000)])
		for _, field := range []string{"comment", "id", "author", "order", "trigger", "children"} {
			body := map[string]json.RawMessage{"order": []byte(`"downtime"`), "duration": []byte(`"1h"`), "comment": []byte(`"x"`),
				"hosts": []byte(`["web1"]`), "dry_run": []byte("true")}
			body[field] = words
			text, _ := json.Marshal(body)
			for _, format := range []string{"json", "xml"} {
				r, err := c.Post("http://localhost/api/v1/orders?format="+format, "application/json", strings.NewReader(string(text)))
				if err != nil {
					t.Fatal(err)
				}
				var answer strings.Builder
				r.Write(&answer)
				_, got, _ := strings.Cut(answer.String(), "\r\n\r\n")
				if r.StatusCode >= 500 {
					t.Errorf("%s in %s = %s", x.Name, field, got)
				}
				map[string]func(*testing.T, string){"json": checkJSON, "xml": checkXML}[format](t, got)
			}
		}
	}
	if len(h.orders) != 0 {
		t.Errorf("a dry run ordered %+v", h.orders)
	}
}

// TestOrdersOnlyOnTheSocket: the port only reads.
func TestOrdersOnlyOnTheSocket(t *testing.T) {
	h := office(t)
	for _, path := range []string{"/api/v1/orders", "/api/v1/hosts/web1/downtime", "/api/v1/services/web1/load/acknowledge"} {
		r := request("POST", path, `{"order":"recheck","hosts":["*"]}`, "Content-Type", "application/json")
		ask(t, api.New(h.options).Public(), r, 403)
	}
	if len(h.orders) != 0 {
		t.Errorf("ordered %+v", h.orders)
	}
}

// TestOrderWhileNothingIsRecorded: it is refused, rather than forgotten; looking
// is free.
func TestOrderWhileNothingIsRecorded(t *testing.T) {
	h, c := obedient(t)
	h.ready = errors.New("the disk is full")
	if got := send(t, c, "POST", "/api/v1/orders", `{"order":"recheck","hosts":["*"]}`, 503); !strings.Contains(got, "the order was not taken: the disk is full") {
		t.Errorf("%s", got)
	}
	send(t, c, "POST", "/api/v1/hosts/web1/comment", `{"comment":"x"}`, 503)
	order(t, c, `{"order":"recheck","hosts":["*"],"dry_run":true}`)
	if len(h.orders) != 0 {
		t.Errorf("ordered %+v", h.orders)
	}
}

// TestManyTargets: ten thousand at once, several at a time.
func TestManyTargets(t *testing.T) {
	var hosts []*alf.Host
	var services []*alf.Service
	for i := range 10_000 {
		h := &alf.Host{Name: alf.HostName(fmt.Sprintf("h%05d", i))}
		hosts, services = append(hosts, h), append(services, ssh(h))
	}
	h := open(t, alf.NewInventory(hosts, services))
	c := socket(t, h)
	began := time.Now()
	out := order(t, c, `{"order":"downtime","hosts":["*"],"duration":"1h"}`)
	if took := time.Since(began); out.Taken != 10_000 || len(h.orders) != 10_000 || took > 5*time.Second {
		t.Errorf("%d taken, %d ordered in %v", out.Taken, len(h.orders), took)
	}
}
