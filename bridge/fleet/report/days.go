package report

import "time"

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
