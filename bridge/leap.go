package bridge

import (
	"time"

	"github.com/hashicorp/go-hclog"

	"ntsbridge/bridge/clock/leap"
	"ntsbridge/bridge/material"
)

var (
	smearShapes     = map[string]leap.Shape{"linear": leap.Linear, "cosine": leap.Cosine}
	smearPlacements = map[string]leap.Placement{"around": leap.Around, "before": leap.Before, "after": leap.After}
)

// buildLeap says what is known of leap seconds and how they are smeared.
func (p *parts) buildLeap(log hclog.Logger, _ time.Time) error {
	c := &p.cfg.Clock.Leap
	l := &p.leaps
	l.Smear = leap.Smear{Interval: c.Smear, Shape: smearShapes[c.Shape], Placement: smearPlacements[c.Placement]}
	if err := l.Smear.Validate(); err != nil {
		return err
	}
	if w := l.Smear.Warning(); w != "" {
		log.Warn("leap seconds are smeared", "warning", w)
	}
	if c.Table != "none" {
		l.Table = p.set.Leap
		l.Load = func(now time.Time) (*leap.Table, error) { return material.ReadLeap(c.File, now) }
	}
	return nil
}
