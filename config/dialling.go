package config

import (
	"maps"
	"time"
)

// Dialling is what [ssh] says of all connections together.
type Dialling struct {
	Rate int // dials that begin in a second
	Most int // at a time

	KeepaliveInterval time.Duration // of silence, until a host is asked for a sign of life
	KeepaliveCount    int           // of such questions without an answer, until it is given up
}

var defaultDialling = Dialling{Rate: 200, Most: 1000, KeepaliveInterval: 15 * time.Second, KeepaliveCount: 2}

func (d *Dialling) keys() keys {
	return keys{
		"dial_rate": to(&d.Rate, number(1, 10_000)),
		"max_dials": to(&d.Most, number(1, 100_000)),

		"keepalive_interval": to(&d.KeepaliveInterval, duration(time.Second, time.Hour)),
		"keepalive_count":    to(&d.KeepaliveCount, number(1, 100)),
	}
}

// sshSection is the table [ssh]: what a host may have, too, and what is of all of them.
type sshSection struct {
	*ssh
	dialling *Dialling
}

func (s sshSection) keys(l *loader) keys {
	all := s.ssh.keys(l)
	maps.Copy(all, s.dialling.keys())
	return all
}
