package server

import (
	"sync/atomic"

	"ntsbridge/bridge/access"
)

// ruleHits counts, for one worker, the requests of each access rule since the
// rules were last replaced. Only the worker adds to it.
type ruleHits struct {
	now atomic.Pointer[hitCounts]
}

type hitCounts struct {
	rules *access.Rule // the first rule of the table that they belong to
	of    []atomic.Uint64
}

// firstRule tells tables apart by their rules, which an overlay has in common
// with what it is over.
func firstRule(t *access.Table) *access.Rule {
	if rules := t.Rules(); len(rules) > 0 {
		return &rules[0]
	}
	return nil
}

func (h *ruleHits) count(t *access.Table, r *access.Rule) {
	i := r.Index()
	if i < 0 {
		return
	}
	c := h.now.Load()
	if first := firstRule(t); c == nil || c.rules != first {
		c = &hitCounts{first, make([]atomic.Uint64, len(t.Rules()))}
		h.now.Store(c)
	}
	c.of[i].Add(1)
}

// addTo adds what was counted for these rules.
func (h *ruleHits) addTo(sum []uint64, first *access.Rule) {
	c := h.now.Load()
	if c == nil || c.rules != first {
		return
	}
	for i := range sum {
		sum[i] += c.of[i].Load()
	}
}
