package calendar

import (
	"testing"
	"time"
)

func BenchmarkCron(b *testing.B) {
	f := func(name, text string, at time.Time) {
		c := parse(b, text, zone(b, "Europe/Berlin"))
		b.Run("Next/"+name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				c.Next(at)
			}
		})
		b.Run("Prev/"+name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				c.Prev(at)
			}
		})
	}
	at := time.Date(2026, 6, 15, 12, 34, 56, 0, time.UTC)
	f("minutes", "*/5 * * * *", at)
	f("office", "*/5 8-17 * * 1-5", at)
	f("daily", "30 2 * * *", at)
	f("monthly", "0 3 1 * *", at)
	f("yearly", "0 3 1 1 *", at)
	f("leap", "0 3 29 2 *", at)
	f("minutes2045", "*/5 * * * *", at.AddDate(19, 0, 0)) // by the zone's rule, beyond its table
}

func BenchmarkPeriod(b *testing.B) {
	const office = "monday=08:00-17:00; tuesday=08:00-17:00; wednesday=08:00-17:00; thursday=08:00-17:00; friday=08:00-16:00; "
	z := zone(b, "Europe/Berlin")
	work := period(b, Definition{Zone: z, Ranges: ranges(office + "december 24 - january 1=00:00-00:00; may 1=00:00-00:00; monday -1 may=00:00-00:00")})
	never := period(b, Definition{Zone: z, Ranges: ranges(office + "february 29=00:00-00:00; 2026-01-01 / 1=00:00-00:00")})
	night := time.Date(2026, 6, 12, 23, 0, 0, 0, time.UTC) // Friday
	f := func(name string, do func()) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				do()
			}
		})
	}
	f("Contains", func() { work.Contains(night) })
	f("Next", func() { work.Next(night) })
	f("End", func() { work.End(night.Add(-12 * time.Hour)) })
	f("Never", func() { never.Next(night) })
}
