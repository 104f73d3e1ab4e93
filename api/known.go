package api

import (
	"fmt"

	"alf"
	"alf/api/wire"
	"alf/state/view"
)

// known is what readers know of all that is checked. It is a [state.Known].
type known struct {
	view      *view.View
	inventory *alf.Inventory
}

func (k known) Look(key alf.Key) (*alf.Service, alf.State) {
	s := k.inventory.Service(key)
	if s == nil {
		return nil, alf.State{}
	}
	return s, wire.StateOf(s, k.view.Head(key))
}

func (k known) Period(name string) alf.Period { return k.inventory.Period(name) }

// held says in words that a dependency keeps something from being run.
func held(by *alf.Dependency) string {
	return fmt.Sprintf("dependency %q holds it back because of %q, and is asked again every check_interval (N26)", by.Name, by.Master)
}
