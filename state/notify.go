package state

import (
	"time"

	"alf"
)

// NotifyFrom returns from when on people may be told of s, as far as its
// notification_period goes (RULES N4): now, if that holds; zero: never.
func NotifyFrom(s *alf.Service, known Known, now time.Time) time.Time {
	p := known.Period(s.NotificationPeriod)
	if p == nil || p.Contains(now) {
		return now
	}
	return p.Next(now)
}
