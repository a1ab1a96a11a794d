package page

import (
	"cmp"
	"net/http"
	"slices"
	"strconv"

	"ntsbridge/bridge/fleet/report"
)

// figures are the clients of a gateway, or of a site, by their means.
type figures struct {
	Summary *report.Summary // nil: no inventory is kept
	Clients int             // of the last week
	NTS     int
	Legacy  int // whose worst means is none of NTS
	Changes []classChange
	Labels  []labelChange
	Stack   *stack
	Range   []choice
}

// classChange is a class of means with how many clients use it best.
type classChange struct {
	Class string
	Now   int
	Moved []moved // since a day, a week, a month
}

type moved struct {
	Known bool
	By    int
	Good  bool // for the migration
	Bad   bool
}

// labelChange is a label whose clients moved since yesterday.
type labelChange struct {
	Name     string
	Clients  int
	NTS      int
	ByNTS    int
	ByLegacy int
}

// choice is one of several views.
type choice struct {
	Name, URL string
	Here      bool
}

// momentsShown are the columns of changes.
var momentsShown = []string{"day", "week", "month"}

// labelsShown is how many labels are told of that moved.
const labelsShown = 8

func newFigures(s *report.Summary) (v figures) {
	v.Summary = s
	if len(s.Groups) > 0 {
		v.count(&s.Groups[0], s)
	}
	v.Labels = labelChanges(s)
	return v
}

// plot makes the plot of the days that are asked for.
func (v *figures) plot(r *http.Request, list []report.DayCount) error {
	days, err := rangeOf(r.URL.Query().Get("days"))
	if err != nil {
		return err
	}
	v.Range = ranges(r.URL.Path, days)
	v.Stack = newStack(list[max(0, len(list)-days):])
	return nil
}

// count fills in what all clients use, and how that has changed.
func (v *figures) count(g *report.Group, s *report.Summary) {
	for _, class := range report.Classes() {
		c := classChange{Class: class, Now: g.Best[class]["now"]}
		v.Clients += c.Now
		any := c.Now > 0
		for _, m := range momentsShown {
			d := moved{Known: s.Since[m] != 0, By: c.Now - g.Best[class][m]}
			d.Good = d.By > 0 && class == "nts" || d.By < 0 && class != "nts"
			d.Bad = d.By != 0 && !d.Good
			any = any || d.Known && g.Best[class][m] > 0
			c.Moved = append(c.Moved, d)
		}
		if any {
			v.Changes = append(v.Changes, c)
		}
	}
	v.NTS = g.Best["nts"]["now"]
	for class, n := range g.Worst {
		if class != "nts" {
			v.Legacy += n["now"]
		}
	}
}

// labelChanges are the labels whose clients have moved since yesterday, those
// with the most first.
func labelChanges(s *report.Summary) (list []labelChange) {
	if s.Since["day"] == 0 || len(s.Groups) < 2 {
		return nil
	}
	for i := range s.Groups[1:] {
		g := &s.Groups[i+1]
		c := labelChange{Name: g.Name}
		for class, n := range g.Best {
			c.Clients += n["now"]
			if class == "nts" {
				c.NTS, c.ByNTS = n["now"], n["now"]-n["day"]
			} else {
				c.ByLegacy += n["now"] - n["day"]
			}
		}
		if c.ByNTS != 0 || c.ByLegacy != 0 {
			list = append(list, c)
		}
	}
	size := func(c *labelChange) int { return max(c.ByNTS, -c.ByNTS) + max(c.ByLegacy, -c.ByLegacy) }
	slices.SortStableFunc(list, func(a, b labelChange) int { return cmp.Compare(size(&b), size(&a)) })
	return list[:min(len(list), labelsShown)]
}

// The stretches of time that the plot of the fleet may have, days.
var daysShown = []struct {
	days int
	name string
}{{30, "30 days"}, {90, "90 days"}, {400, "all"}}

func rangeOf(text string) (int, error) {
	if text == "" {
		return daysShown[1].days, nil
	}
	n, err := strconv.Atoi(text)
	for _, d := range daysShown {
		if err == nil && n == d.days {
			return n, nil
		}
	}
	return 0, bad("days=%.20q is none of 30, 90 and 400", text)
}

func ranges(path string, now int) (list []choice) {
	for _, d := range daysShown {
		list = append(list, choice{d.name, path + "?days=" + strconv.Itoa(d.days), d.days == now})
	}
	return list
}
