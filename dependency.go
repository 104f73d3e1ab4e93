package alf

// Dependency says that a service need not be run, or nobody be told of its
// problems, while another key, its master, is in certain states (RULES N26).
type Dependency struct {
	Name     string // of its definition ([dependency.NAME])
	Master   Key
	Run      Criteria // execution_failure_criteria
	Notify   Criteria // notification_failure_criteria
	Inherits bool     // inherits_parent: what holds the master back holds the service back, too
	Soft     bool     // soft_state_dependencies: a SOFT status counts, rather than the last HARD one
	Period   string   // dependency_period, the name of a timeperiod; "": always
}

// Criteria are the states of a master in which a dependency fails.
type Criteria struct {
	Status  [4]bool
	Pending bool // never checked, which counts as OK or UP besides
}
