package sshmux

import "sync"

// latch is shut once, and stays so. It is a channel that is closed, but one that is made only for
// who waits for it: most of a command's are never waited for. The zero value is ready to use.
type latch struct {
	mu   sync.Mutex
	done bool
	wait chan struct{} // nil: nobody has asked for it
}

// shut shuts the latch, which is done once. What was written before is seen by who finds it shut.
func (l *latch) shut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.done = true
	if l.wait != nil {
		close(l.wait)
	}
}

func (l *latch) isShut() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.done
}

// whenShut returns a channel that is closed as soon as the latch is shut.
func (l *latch) whenShut() <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.wait == nil {
		l.wait = make(chan struct{})
		if l.done {
			close(l.wait)
		}
	}
	return l.wait
}
