package report

import (
	"cmp"
	"maps"
	"slices"
	"time"
)

// Snapshot is hosts by their means at the end of a day, or when the inventory last
// looked on that day. It has no addresses.
type Snapshot struct {
	At     Time              `json:"at"`
	Groups map[string]Counts `json:"groups"` // by label, and "all"
}

// Counts are clients by class of means.
type Counts struct {
	Best  map[string]int `json:"best"`
	Worst map[string]int `json:"worst"`
}

// snapshotGroups is how many groups a snapshot keeps, those with the most clients.
const snapshotGroups = 2000

// Snapshot returns what a finished summary by label says of now.
func (s *Summary) Snapshot() *Snapshot {
	n := &Snapshot{At: s.At, Groups: make(map[string]Counts)}
	groups := slices.SortedFunc(slices.Values(s.Groups), func(a, b Group) int { return cmp.Compare(b.size(), a.size()) })
	for i := range groups[:min(len(groups), snapshotGroups)] {
		g := &groups[i]
		n.Groups[g.Name] = Counts{countsNow(g.Best), countsNow(g.Worst)}
	}
	return n
}

func (g *Group) size() (n int) {
	for _, counts := range g.Best {
		n += counts[momentNames[0]]
	}
	return n
}

func countsNow(m map[string]map[string]int) map[string]int {
	now := make(map[string]int)
	for class, counts := range maps.All(m) {
		if n := counts[momentNames[0]]; n > 0 {
			now[class] = n
		}
	}
	return now
}

// Day numbers the days since 1970, UTC.
func Day(t time.Time) uint32 { return uint32(max(t.Unix(), 0) / 86400) }

// Compare lets a summary by label compare with the snapshots of days, where there
// are any: what a client used in the past is derived from when it used each means
// first and last otherwise. It must be called before the first Add.
func (s *Summary) Compare(day func(uint32) *Snapshot) {
	if !s.byLabel {
		return
	}
	for i := range s.moments {
		if i > 0 {
			s.past[i] = day(s.moments[i] / 86400)
		}
	}
}
