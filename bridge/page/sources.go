package page

import (
	"math/bits"
	"net/http"

	"ntsbridge/bridge/control"
)

// sourcesView is the clock and where its time comes from.
type sourcesView struct {
	layout
	Tracking *control.Tracking
	Bound    float64
	Rows     []sourceRow
	Plots    []plots
	Interval float64 // of the plots, s
}

type sourceRow struct {
	control.Source
	Auth    control.AuthData
	Class   string // of its state: good, warn, bad, quiet
	Answers int    // of the last eight requests
}

var stateClasses = map[control.SourceState]string{control.StateSelected: "good", control.StateCombined: "good",
	control.StateNotCombined: "quiet", control.StateFalseticker: "bad", control.StateTooVariable: "warn", control.StateUnusable: "bad"}

func (p *Page) sources(w http.ResponseWriter, r *http.Request) error {
	v := &sourcesView{layout: p.layout(r, "Sources")}
	if p.src.Tracking != nil {
		if v.Tracking = p.src.Tracking(); v.Tracking != nil {
			v.Bound = v.Tracking.RootDelay/2 + v.Tracking.RootDispersion
		}
	}
	if p.src.Sources != nil && p.src.AuthData != nil {
		auth := p.src.AuthData()
		for i, s := range p.src.Sources() {
			row := sourceRow{Source: s, Class: stateClasses[s.State], Answers: bits.OnesCount8(s.Reach)}
			if i < len(auth) && auth[i].Name == s.Name {
				row.Auth = auth[i]
			}
			v.Rows = append(v.Rows, row)
		}
	}
	if p.src.SourceHistory != nil {
		h := p.src.SourceHistory()
		v.Plots, v.Interval = sourcePlots(h), h.Interval
	}
	p.send(w, "sources", http.StatusOK, v)
	return nil
}
