package wire

// Held says why a check that Alf runs by itself is not run for the time being.
type Held struct {
	Reason     string `json:"reason" xml:"reason"`         // one of the reasons
	Dependency string `json:"dependency" xml:"dependency"` // the name of the one that holds it; empty: none
	Master     *Key   `json:"master" xml:"master"`         // whose state that dependency is about; null: none
	Why        Text   `json:"why" xml:"why"`               // in words
}

// The reasons for which checks are held.
const (
	HeldOff          = "checks off"
	HeldByHost       = "host down"
	HeldByDependency = "dependency"
)

// Short says in a few words what holds it.
func (h *Held) Short() string {
	if h.Dependency == "" {
		return h.Reason
	}
	return h.Reason + " " + h.Dependency
}
