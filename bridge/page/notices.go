package page

import (
	"crypto/rand"
	"slices"
	"sync"
)

// notices are what was done, each shown once.
type notices struct {
	mu   sync.Mutex
	list []*notice
}

type notice struct{ id, Text string }

// maxNotices bounds those that nobody has looked at.
const maxNotices = 64

func (n *notices) put(text string) string {
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.list) == maxNotices {
		n.list = slices.Delete(n.list, 0, 1)
	}
	e := &notice{rand.Text(), text}
	n.list = append(n.list, e)
	return e.id
}

// take returns a notice, nil if there is none.
func (n *notices) take(id string) *notice {
	n.mu.Lock()
	defer n.mu.Unlock()
	i := slices.IndexFunc(n.list, func(e *notice) bool { return e.id == id })
	if i < 0 {
		return nil
	}
	e := n.list[i]
	n.list = slices.Delete(n.list, i, i+1)
	return e
}
