package report

import (
	"time"

	"ntsbridge/bridge/fleet/inventory"
)

// DayCount is what a day's snapshot says of the clients of a label, or of all of
// them.
type DayCount struct {
	Date  string         `json:"date"` // UTC
	At    Time           `json:"at"`   // when it was looked last on that day
	Best  map[string]int `json:"best"` // clients by class of their best means
	Worst map[string]int `json:"worst"`
}

// Classes are the classes of means from best to worst.
func Classes() []string { return []string{"nts", "symmetric", "autokey", "none", "refused"} }

// Count returns what a snapshot says of a label, empty: of all clients.
func (s *Snapshot) Count(label string, day uint32) (DayCount, bool) {
	if label == "" {
		label = "all"
	}
	c, ok := s.Groups[label]
	d := DayCount{Date: time.Unix(86400*int64(day), 0).UTC().Format(time.DateOnly), At: s.At, Best: c.Best, Worst: c.Worst}
	return d, ok
}

// Whole returns the snapshot without its labels.
func (s *Snapshot) Whole() *Snapshot {
	return &Snapshot{At: s.At, Groups: map[string]Counts{"all": s.Groups["all"]}}
}

// PastDays counts clients by day from what each of them used when: of a site, of
// which no snapshots are kept. A client that was forgotten is on no day.
type PastDays struct {
	ends        []uint32 // of the days, and now
	best, worst []classCounts
}

// NewPastDays begins to count the days from since on, most of them at most, the
// last one being that of now.
func NewPastDays(now time.Time, since Time, most int) *PastDays {
	p := new(PastDays)
	today := Day(now)
	for day := max(Day(since.time()), today-min(today, uint32(most)-1)); day < today; day++ {
		p.ends = append(p.ends, (day+1)*86400-1)
	}
	p.ends = append(p.ends, uint32(now.Unix()))
	p.best, p.worst = make([]classCounts, len(p.ends)), make([]classCounts, len(p.ends))
	return p
}

// classCounts are clients by place in classOrder.
type classCounts [5]int

// Add takes a client.
func (p *PastDays) Add(c *inventory.Client) {
	first := ^uint32(0)
	for i := range c.Means {
		first = min(first, c.Means[i].First)
	}
	for i := len(p.ends) - 1; i >= 0 && p.ends[i] >= first; i-- {
		if best, worst, seen := classesAt(c, p.ends[i]); seen {
			p.best[i][best]++
			p.worst[i][worst]++
		}
	}
}

// Counts returns the days, the oldest first.
func (p *PastDays) Counts() (list []DayCount) {
	for i, at := range p.ends {
		d := DayCount{Date: Time(at).time().Format(time.DateOnly), At: Time(at), Best: map[string]int{}, Worst: map[string]int{}}
		for class, name := range classOrder {
			if n := p.best[i][class]; n > 0 {
				d.Best[name] = n
			}
			if n := p.worst[i][class]; n > 0 {
				d.Worst[name] = n
			}
		}
		list = append(list, d)
	}
	return list
}
