package api

import (
	"fmt"
	"time"

	"alf"
	"alf/api/wire"
	"alf/state"
	"alf/state/view"
)

// known is what readers know of all that is checked, at one time. It is a
// [state.Known].
type known struct {
	view             *view.View
	inventory        *alf.Inventory
	hostDownDisables bool
	now              time.Time
}

func (q Query) known(now time.Time) *known {
	return &known{q.View, q.Inventory(), q.HostDownDisablesChecks, now}
}

func (k *known) Look(key alf.Key) (*alf.Service, alf.State) {
	s := k.inventory.Service(key)
	if s == nil {
		return nil, alf.State{}
	}
	return s, wire.StateOf(s, k.view.Head(key))
}

func (k *known) Period(name string) alf.Period { return k.inventory.Period(name) }

func (k *known) HostDownDisablesChecks() bool { return k.hostDownDisables }

// Held says what keeps r from being run by itself; nil: nothing does.
func (r Row) Held() *wire.Held {
	switch hold := r.hold(); hold.Reason {
	case state.ChecksOff:
		return &wire.Held{Reason: wire.HeldOff, Why: "its checks were switched off"}
	case state.HostNotUp:
		return &wire.Held{Reason: wire.HeldByHost, Why: "its host is not UP, and host_down_disable_service_checks is set (H5)"}
	case state.DependencyFails:
		by := hold.By
		why := fmt.Sprintf("dependency %q holds it back because of %q, and is asked again every check_interval (N26)", by.Name, by.Master)
		return &wire.Held{Reason: wire.HeldByDependency, Dependency: by.Name, Master: new(wire.NewKey(by.Master)), Why: wire.Text(why)}
	}
	return nil
}

func (r Row) hold() state.Hold {
	var off alf.Switch
	if r.Head != nil {
		off = r.Head.State.Off
	}
	return state.Held(r.Service, off, r.known, r.known.now)
}
