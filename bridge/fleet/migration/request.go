package migration

import (
	"encoding/json"

	"ntsbridge/bridge/fleet/gate"
)

// Request is what an operator asks.
type Request struct {
	Do     string `json:"do"` // one of the words below
	Group  string `json:"group,omitempty"`
	Means  string `json:"means,omitempty"`
	Name   string `json:"name,omitempty"` // of the plan's file
	Plan   string `json:"plan,omitempty"` // its text
	Force  bool   `json:"force,omitempty"`
	Reason string `json:"reason,omitempty"`

	Key      uint32          `json:"key,omitempty"`  // of KeyGate and KeyNote
	What     string          `json:"what,omitempty"` // of KeyNote, as the history has it
	Evidence json.RawMessage `json:"evidence,omitempty"`
}

// Answer is what was done.
type Answer struct {
	Done     string    `json:"done,omitempty"`
	Changes  []string  `json:"changes,omitempty"`
	Findings []Finding `json:"findings,omitempty"`

	Gates []gate.Result `json:"gates,omitempty"`
}

// Finding is one of a plan, as it is shown.
type Finding struct {
	Text  string `json:"text"`
	Wrong bool   `json:"wrong"`
}

// What may be asked.
const (
	Check    = "check"
	Diff     = "diff"
	Apply    = "apply"
	Advance  = "advance"
	Hold     = "hold"
	Resume   = "resume"
	Rollback = "rollback"
	KeyGate  = "key-gate" // may a symmetric key go, as far as the plan knows?
	KeyNote  = "key-note" // write down what is done to one
)

// Words are all that Request.Do may be.
var Words = []string{Check, Diff, Apply, Advance, Hold, Resume, Rollback, KeyGate, KeyNote}
