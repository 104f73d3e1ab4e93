package alf

import "context"

// Sink takes events to where they are wanted.
type Sink interface {
	// Write returns nil when all events are taken. After an error the same
	// events come again. Calls never overlap. Events must not be changed.
	Write(ctx context.Context, events []*Event) error
}
