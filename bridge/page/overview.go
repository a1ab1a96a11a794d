package page

import (
	"net/http"
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
	figures
	Site    *siteTile // nil: this gateway is alone
	Running []steer.PlaceStatus
	Fleet   *steer.Status
	History []*history.Entry // of the last day, the newest first
	More    int              // that are not shown
	Events  []events.Event
}

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
	v.Site = p.siteTile()
	v.Events = p.src.Events.Recent(eventsShown)
	p.send(w, "overview", http.StatusOK, v)
	return nil
}

// How many events and entries the first page shows.
const (
	eventsShown  = 8
	entriesShown = 12
)

func (v *overviewView) fleet(p *Page, r *http.Request) error {
	s, err := p.summary()
	if err != nil {
		return err
	}
	v.figures = newFigures(s)
	var list []report.DayCount
	if p.src.Inventory.Days != nil {
		list = p.src.Inventory.Days("")
	}
	if err := v.plot(r, list); err != nil {
		return err
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
