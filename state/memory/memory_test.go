package memory_test

import (
	"testing"

	"alf/state/journaltest"
	"alf/state/memory"
)

func TestRecord(t *testing.T) {
	journaltest.Run(t, func(*testing.T) journaltest.Record {
		return memory.New(memory.Options{History: journaltest.History, Feed: journaltest.Feed})
	})
}
