package server

import (
	"fmt"
	"time"
)

// Alive reports whether every worker serves, by waking it: one that is busy
// counts its batches. It waits so long at most; the error names an address
// whose worker does nothing.
func (s *Server) Alive(patience time.Duration) error {
	s.mu.Lock()
	var workers []*worker
	for _, group := range s.groups {
		workers = append(workers, group...)
	}
	s.mu.Unlock()
	before := make([]uint64, len(workers))
	for i, w := range workers {
		before[i] = w.beat.Load()
		w.socket.interrupt()
	}
	deadline := time.Now().Add(patience)
	for i, w := range workers {
		for w.beat.Load() == before[i] && !w.stop.Load() {
			if time.Now().After(deadline) {
				return fmt.Errorf("a worker of %v has done nothing for %v", w.socket.listen, patience)
			}
			time.Sleep(time.Millisecond)
		}
	}
	return nil
}
