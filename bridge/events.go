package bridge

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"ntsbridge/bridge/control"
	"ntsbridge/bridge/control/events"
	"ntsbridge/bridge/fleet/history"
	"ntsbridge/bridge/fleet/steer"
)

// eventsKept is how many events are kept for listeners that come back.
const eventsKept = 2048

// happened tells of what the migration wrote into its history.
func (b *Bridge) happened(e *history.Entry) {
	v := events.Event{Time: e.Time, Kind: events.Stage, What: e.What, Group: e.Group, Means: e.Means, Stage: e.Stage, Step: e.Step,
		By: e.Who}
	switch e.What {
	case history.Began, history.Forced, history.Watching, history.Ended:
		v.Kind = events.Window
	case history.BackedOut:
		v.Kind = events.Hurt
	}
	about := strings.TrimSpace(e.Group + " " + e.Means)
	if about != "" {
		about += ": "
	}
	v.Text = strings.TrimSuffix(about+strings.TrimSpace(e.What+" "+e.Stage)+", "+e.Why, ", ")
	b.told.Add(v)
}

// reloaded tells how a reload went.
func (b *Bridge) reloaded(err error) {
	e := events.Event{Time: time.Now(), Kind: events.Reload, What: "done", Text: "the configuration was read again"}
	if err != nil {
		e.What, e.Text = "failed", "the configuration was not put in force: "+err.Error()
	}
	b.told.Add(e)
}

// eventWatch finds out what has changed since it looked last.
type eventWatch struct {
	began        bool
	synchronised bool
	sources      map[string]control.SourceState
	certificates map[string]bool // as they were told of
	hurt         map[uint32]int  // by step
}

// watchEvents looks once a second at what tells of itself to nobody, and keeps
// how clock and sources go, until Close.
func (b *Bridge) watchEvents() {
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	var w eventWatch
	for {
		select {
		case <-b.stop:
			return
		case now := <-ticker.C:
			s := b.snapshot()
			if up := time.Since(b.started); b.recorder.Due(up) {
				b.recorder.Take(up, s)
			}
			w.clock(b.told, now, s.Tracking())
			w.follow(b.told, now, s.SourceList())
			w.certify(b.told, now, b.certificates())
			w.harm(b, now)
			w.began = true
		}
	}
}

func (w *eventWatch) clock(to *events.Log, now time.Time, t *control.Tracking) {
	is := t.Synchronised()
	if w.began && is != w.synchronised {
		e := events.Event{Time: now, Kind: events.Clock, What: "synchronised", Text: "the clock is synchronised to " + t.ReferenceName}
		if !is {
			e.What, e.Text = "unsynchronised", "the clock is not synchronised any more"
		}
		to.Add(e)
	}
	w.synchronised = is
}

func (w *eventWatch) follow(to *events.Log, now time.Time, list []control.Source) {
	next := make(map[string]control.SourceState, len(list))
	for i := range list {
		s := &list[i]
		name := s.Name
		for next[name] != "" {
			name += "'"
		}
		next[name] = s.State
		if old := w.sources[name]; w.began && old != s.State {
			text := fmt.Sprintf("%s is %s", s.Name, s.State)
			if old != "" {
				text += ", was " + string(old)
			}
			if s.Why != "" {
				text += ": " + s.Why
			}
			to.Add(events.Event{Time: now, Kind: events.Source, What: string(s.State), Source: s.Name, Text: text})
		}
	}
	for name := range w.sources {
		if next[name] == "" {
			to.Add(events.Event{Time: now, Kind: events.Source, What: "gone", Source: name, Text: name + " is no source any more"})
		}
	}
	w.sources = next
}

func (w *eventWatch) certify(to *events.Log, now time.Time, list []control.Certificate) {
	next := make(map[string]bool, len(list))
	for i := range list {
		c := &list[i]
		e := events.Event{Time: now, Kind: events.Certificate, What: "in use", File: c.File,
			Text: fmt.Sprintf("certificate of %s for %s, until %s", c.Use, strings.Join(c.Names, " "), c.NotAfter.Format(time.RFC3339))}
		if len(c.Problems) > 0 {
			e.What, e.Text = "problem", e.Text+": "+strings.Join(c.Problems, "; ")
		}
		next[c.File+e.Text] = true
		if w.began && !w.certificates[c.File+e.Text] {
			to.Add(e)
		}
	}
	w.certificates = next
}

// harm tells of clients of running steps that became hurt.
func (w *eventWatch) harm(b *Bridge, now time.Time) {
	f := b.migration.Figures(now)
	if f == nil || !slices.ContainsFunc(f.Places, func(p steer.PlaceFigures) bool { return p.Trying != "" }) {
		w.hurt = nil
		return
	}
	next := map[uint32]int{}
	for _, p := range b.migration.Status(now, true).Places {
		r := p.Running
		if r == nil {
			continue
		}
		if next[r.ID] = r.Hurt; r.Hurt <= w.hurt[r.ID] {
			continue
		}
		e := events.Event{Time: now, Kind: events.Hurt, What: "hurt", Group: p.Group, Means: p.Means, Stage: r.Stage, Step: r.ID,
			Text: fmt.Sprintf("%s %s: %d of %d clients of %s are hurt", p.Group, p.Means, r.Hurt, r.Clients, r.Stage)}
		for _, h := range r.HurtClients[:min(len(r.HurtClients), maxHurtTold)] {
			e.Clients = append(e.Clients, h.Client)
		}
		b.told.Add(e)
	}
	w.hurt = next
}

// maxHurtTold is how many hurt clients an event names.
const maxHurtTold = 20
