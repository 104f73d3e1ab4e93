package calendar_test

import (
	"fmt"
	"time"

	"alf/calendar"
)

func Example() {
	berlin, _ := time.LoadLocation("Europe/Berlin")
	c, err := calendar.Parse("30 2 * * *", berlin, time.LoadLocation)
	if err != nil {
		fmt.Println(err)
		return
	}
	at := time.Date(2026, 3, 27, 12, 0, 0, 0, berlin)
	for range 3 { // there is no half past two on the 29th
		at = c.Next(at)
		fmt.Println(at)
	}
	// Output:
	// 2026-03-28 02:30:00 +0100 CET
	// 2026-03-29 03:00:00 +0200 CEST
	// 2026-03-30 02:30:00 +0200 CEST
}

func ExampleParse() {
	_, err := calendar.Parse("0 0 30 FEB *", nil, nil)
	fmt.Println(err)
	// Output: cron "0 0 30 FEB *": day of month "30" never comes in month "FEB"
}

func ExampleParseAll() {
	office, err := calendar.ParseAll([]string{
		"*/30 8-17 * * MON-FRI",
		"CRON_TZ=Asia/Tokyo 0 9 * * *",
	}, time.UTC, time.LoadLocation)
	if err != nil {
		fmt.Println(err)
		return
	}
	at := time.Date(2026, 1, 2, 17, 0, 0, 0, time.UTC)
	for range 3 {
		at = office.Next(at)
		fmt.Println(at.Format("Mon 15:04"))
	}
	// Output:
	// Fri 17:30
	// Sat 00:00
	// Sun 00:00
}

func ExampleNewPeriods() {
	periods, err := calendar.NewPeriods(map[string]calendar.Definition{
		"work": {
			Ranges:  map[string]string{"monday": "09:00-17:00", "tuesday": "09:00-12:00,13:00-17:00"},
			Exclude: []string{"holidays"},
		},
		"holidays": {
			Ranges: map[string]string{"2026-01-05": "00:00-24:00"},
		},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	work := periods["work"]
	next := work.Next(time.Date(2026, 1, 5, 10, 0, 0, 0, time.UTC))
	fmt.Println(next.Format("Mon 2006-01-02 15:04"), "to", work.End(next).Format("15:04"))
	// Output: Tue 2026-01-06 09:00 to 12:00
}
