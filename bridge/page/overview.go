package page

import (
	"cmp"
	"net/http"
	"slices"
	"strconv"
	"time"

	"ntsbridge/bridge/control"
	"ntsbridge/bridge/control/events"
	"ntsbridge/bridge/fleet/history"
	"ntsbridge/bridge/fleet/report"
	"ntsbridge/bridge/fleet/steer"
)

// overviewView is the first page.
type overviewView struct {
	layout
	Status   *control.Status
	Up       string // for how long it runs
	Tracking *control.Tracking
	Bound    float64 // root distance
	Summary  *report.Summary
	Clients  int // of the last week
	NTS      int
	Legacy   int // whose worst means is none of NTS
	Changes  []classChange
	Since    map[string]string // by moment: what it is compared with
	Labels   []labelChange
	Stack    *stack
	Range    []choice
	Running  []steer.PlaceStatus
	Fleet    *steer.Status
	History  []*history.Entry // of the last day, the newest first
	More     int              // that are not shown
	Events   []events.Event
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

func (p *Page) overview(w http.ResponseWriter, r *http.Request) error {
	v := &overviewView{layout: p.layout(r, "Overview")}
	if p.src.Status != nil {
		v.Status = p.src.Status()
		v.Up = long(v.At.Sub(v.Status.Started).Truncate(time.Minute))
	}
	if p.src.Tracking != nil {
		if v.Tracking = p.src.Tracking(); v.Tracking != nil {
			v.Bound = v.Tracking.RootDelay/2 + v.Tracking.RootDispersion
		}
	}
	if p.src.Inventory.Summary != nil {
		if err := v.fleet(p, r); err != nil {
			return err
		}
	}
	v.Events = p.src.Events.Recent(eventsShown)
	p.send(w, "overview", http.StatusOK, v)
	return nil
}

// How many events, entries and labels the first page shows.
const (
	eventsShown  = 8
	entriesShown = 12
	labelsShown  = 8
)

func (v *overviewView) fleet(p *Page, r *http.Request) error {
	s, err := p.summary()
	if err != nil {
		return err
	}
	v.Summary, v.Since = s, map[string]string{}
	for _, m := range momentsShown {
		v.Since[m] = ""
		if t := s.Since[m]; t != 0 {
			v.Since[m] = t.String()
		}
	}
	if len(s.Groups) > 0 {
		v.count(&s.Groups[0], s)
	}
	v.Labels = labelChanges(s)
	days, err := rangeOf(r.URL.Query().Get("days"))
	if err != nil {
		return err
	}
	v.Range = ranges(days)
	if p.src.Inventory.Days != nil {
		list := p.src.Inventory.Days("")
		v.Stack = newStack(list[max(0, len(list)-days):])
	}
	if p.src.Fleet.Status != nil {
		v.Fleet = p.src.Fleet.Status(true)
		for _, place := range v.Fleet.Places {
			if place.Running != nil {
				v.Running = append(v.Running, place)
			}
		}
		v.History, v.More = p.lately(24 * time.Hour)
	}
	return nil
}

// count fills in what all clients use, and how that has changed.
func (v *overviewView) count(g *report.Group, s *report.Summary) {
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

func ranges(now int) (list []choice) {
	for _, d := range daysShown {
		list = append(list, choice{d.name, "/?days=" + strconv.Itoa(d.days), d.days == now})
	}
	return list
}
