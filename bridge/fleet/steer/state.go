package steer

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"ntsbridge/bridge/fleet/plan"
	"ntsbridge/bridge/fleet/silence"
)

// State is what is kept over a restart.
type State struct {
	Version  int      `json:"version"`
	Plan     string   `json:"plan"` // the text that was declared
	PlanName string   `json:"plan_name"`
	Declared Declared `json:"declared"`
	LastStep uint32   `json:"last_step"`
	Held     string   `json:"held,omitempty"` // why nothing moves
	Places   []*Place `json:"places"`
}

// Declared says when a plan was, and by whom.
type Declared struct {
	Time time.Time `json:"time"`
	Who  string    `json:"who"`
}

// Place is where one means of one group stands.
type Place struct {
	Group string     `json:"group"`
	Means string     `json:"means"`
	Stage string     `json:"stage"` // the last one that was reached
	Round int        `json:"round"` // brown-outs that went well
	Since time.Time  `json:"since"`
	Held  string     `json:"held,omitempty"`  // why it does not move
	Step  *KeptStep  `json:"step,omitempty"`  // that runs
	Stand *KeptStep  `json:"stand,omitempty"` // that refuses for good
	Hurt  []HurtSeen `json:"hurt,omitempty"`  // by the last step that was backed out
	// Refused are the last times in which steps refused, in order: a silence that
	// began in one of them says nothing.
	Refused []Span `json:"refused,omitempty"`
}

// Span is a time, seconds since 1970; To is 0 while it goes on.
type Span struct {
	From uint32 `json:"from"`
	To   uint32 `json:"to"`
}

// maxSpans bounds how many times of refusal a place keeps.
const maxSpans = 64

// KeptStep is a step as it is kept.
type KeptStep struct {
	ID     uint32    `json:"id"`
	Stage  string    `json:"stage"`
	Round  int       `json:"round,omitempty"`
	Began  time.Time `json:"began"`
	Forced bool      `json:"forced,omitempty"`
	Deny   bool      `json:"deny,omitempty"`
}

// HurtSeen is a client that a step hurt.
type HurtSeen struct {
	Client    string `json:"client"`
	Protected bool   `json:"protected,omitempty"`
	Why       string `json:"why"`
}

const stateVersion = 1

// ErrState says that a state cannot be read.
var ErrState = errors.New("the state of the migration cannot be read")

// ParseState reads what Keep was given.
func ParseState(text []byte) (*State, error) {
	var s State
	if err := json.Unmarshal(text, &s); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrState, err)
	}
	if s.Version != stateVersion {
		return nil, fmt.Errorf("%w: version %d, this program knows %d", ErrState, s.Version, stateVersion)
	}
	for _, p := range s.Places {
		if p == nil {
			return nil, fmt.Errorf("%w: a place is empty", ErrState)
		}
		_, okMeans := plan.ParseMeans(p.Means)
		_, okStage := plan.ParseStage(p.Stage)
		if !okMeans || !okStage || p.Round < 0 {
			return nil, fmt.Errorf("%w: %.40q stands at %.40q by %.40q", ErrState, p.Group, p.Stage, p.Means)
		}
	}
	return &s, nil
}

func (p *Place) means() plan.Means { m, _ := plan.ParseMeans(p.Means); return m }
func (p *Place) stage() plan.Stage { s, _ := plan.ParseStage(p.Stage); return s }

// refuses notes that the place refuses from now on, served that it does no more.
func (p *Place) refuses(now time.Time) {
	p.served(now)
	p.Refused = append(p.Refused, Span{From: uint32(now.Unix())})
	p.Refused = p.Refused[max(0, len(p.Refused)-maxSpans):]
}

func (p *Place) served(now time.Time) {
	if n := len(p.Refused); n > 0 && p.Refused[n-1].To == 0 {
		p.Refused[n-1].To = max(uint32(now.Unix()), p.Refused[n-1].From)
	}
}

// spans are the times of refusal as a judgement takes them.
func (p *Place) spans() (list []silence.Span) {
	for _, s := range p.Refused {
		list = append(list, silence.Span{From: s.From, To: s.To})
	}
	return list
}

func (p *Place) reach(s plan.Stage, round int, now time.Time) {
	p.Stage, p.Round, p.Since = s.String(), round, now.UTC()
}

// next returns the rung behind where a place stands; ok is false at its target.
func next(g *plan.Group, p *Place) (s plan.Stage, round int, ok bool) {
	s = p.stage()
	switch {
	case s == plan.BrownOutRefusal && p.Round < len(g.BrownOut.Lengths):
		round = p.Round + 1
	case s == plan.CanaryRefusal:
		s, round = plan.BrownOutRefusal, 1
	default:
		s++
	}
	return s, round, s <= g.Targets[p.means()].Stage
}
