package plan

import (
	"net/netip"
	"time"

	"ntsbridge/bridge/ntp"
)

// Plan is a plan that was read and found right.
type Plan struct {
	Automatic bool // steps are taken by themselves once their gates are open
	Protected []Protected
	Windows   Windows
	Notify    Notify
	Groups    []*Group
}

// Protected are clients that are never refused.
type Protected struct {
	Selector
	Why  string
	Line int
}

// Selector says whom something is about.
type Selector struct {
	Prefixes      []netip.Prefix
	Labels        []string // owner, site or a word of the note
	Keys          []uint32 // symmetric key identifiers, sorted
	AutokeyGroups []string
}

// Everywhere tells whether neither prefixes nor labels were given.
func (s *Selector) Everywhere() bool { return len(s.Prefixes)+len(s.Labels) == 0 }

// Group is a group of clients and what is to become of it.
type Group struct {
	Name string
	Selector
	Targets  [MeansCount]Target
	Canary   Canary
	BrownOut BrownOut
	BackOut  BackOut
	Gates    Gates
	Line     int
}

// Target is how far one legacy means of a group is to be taken.
type Target struct {
	Stage     Stage
	NotBefore time.Time // zero: at once
	// Deny sends the kiss code DENY in the stage removed instead of silence.
	Deny bool
	Line int
}

// Canary says how many clients are tried first.
type Canary struct {
	Share float64 // of the group's clients, above 0 and at most 0.5
	Max   int     // clients at most
	Polls int     // for how long
}

// BrownOut says for how long a whole group is refused on trial.
type BrownOut struct {
	Lengths []Length      // one after the other
	AtMost  time.Duration // that one may take, 0: not bounded
}

// Length is how long something takes: in polls, or in time.
type Length struct {
	Polls int           // 0: Time counts
	Time  time.Duration // 0: Polls count
	Line  int
}

// BackOut says when a step ends at once.
type BackOut struct {
	// SilentPolls is after how many of its own polls without a packet a client
	// of the step counts as hurt, unless it came back by better means.
	SilentPolls int
	Protected   int     // protected clients hurt that a step may have
	Others      float64 // share of others hurt, of those that the step refuses
}

// Gates are what must be so before a step that refuses somebody. A zero value
// asks for nothing.
type Gates struct {
	BetterShare     float64       // of the group's clients have NTS (or better means than the one refused)
	BetterDays      int           // and that for so many days
	QuietDays       int           // no packet by the legacy means for so many days, protected clients aside
	WatchedDays     int           // watched without gaps for so many days
	LongestGap      time.Duration // that does not count as one
	NoForgotten     bool          // no client was forgotten for want of room
	AnotherServer   Another       // whoever is to be refused has another server
	KEHeadroom      float64       // NTS-KE can take so many times what the step brings
	CertificateDays int           // NTS-KE's certificate lives so long beyond the step
}

// Another says of whom another server is asked for.
type Another uint8

// The values of gates.another_server: false, mute, true.
const (
	AnotherOfNone Another = iota
	// AnotherOfMute is what a plan has that says nothing: of clients whose packets
	// would not show that they are hurt, since no canary and no brown-out can find
	// that out.
	AnotherOfMute
	AnotherOfAll
)

var anotherNames = []string{"false", "mute", "true"}

// String returns the value as plans have it.
func (a Another) String() string { return anotherNames[a] }

// Notify says who is told of what happens, beside the log.
type Notify struct {
	Command []string // with its arguments; the event comes to its standard input, as JSON
	Webhook string   // URL that the event is posted to
}

// Means are the legacy means that a plan can take away. NTS is none.
type Means uint8

// The means.
const (
	None Means = iota
	Symmetric
	Autokey
	MeansCount = 3
)

var meansNames = [MeansCount]string{"none", "symmetric", "autokey"}

// String returns the name by which plans and commands know the means.
func (m Means) String() string { return meansNames[m] }

// Kind returns the packets that the means is about.
func (m Means) Kind() ntp.Kind {
	return [MeansCount]ntp.Kind{ntp.KindNone, ntp.KindSymmetric, ntp.KindAutokey}[m]
}

// MeansOf returns the means of a kind; ok is false for NTS.
func MeansOf(k ntp.Kind) (m Means, ok bool) {
	switch k {
	case ntp.KindNone:
		return None, true
	case ntp.KindSymmetric:
		return Symmetric, true
	case ntp.KindAutokey:
		return Autokey, true
	}
	return 0, false
}

// ParseMeans reads a means; symkey is another word for symmetric.
func ParseMeans(s string) (m Means, ok bool) {
	if s == "symkey" {
		return Symmetric, true
	}
	for i, n := range meansNames {
		if n == s {
			return Means(i), true
		}
	}
	return 0, false
}

// Stage is how far a means is taken away.
type Stage uint8

// The stages, in the order in which they are gone through.
const (
	Observe         Stage = iota // nothing is done
	Warn                         // who still uses it is logged and told
	CanaryRefusal                // a few clients are refused, for a while
	BrownOutRefusal              // all are refused, for a while
	Refuse                       // all are refused
	Removed                      // and key, group or Autokey itself may be deleted
	StageCount      = iota
)

var stageNames = [StageCount]string{"observe", "warn", "canary", "brown-out", "refuse", "removed"}

// String returns the stage's name in plans.
func (s Stage) String() string {
	if int(s) < len(stageNames) {
		return stageNames[s]
	}
	return "invalid"
}

// ParseStage reads a stage.
func ParseStage(s string) (Stage, bool) {
	for i, n := range stageNames {
		if n == s {
			return Stage(i), true
		}
	}
	return 0, false
}

// Group returns the group of a name, nil if there is none.
func (p *Plan) Group(name string) *Group {
	for _, g := range p.Groups {
		if g.Name == name {
			return g
		}
	}
	return nil
}

// defaults are what a group has that its plan says nothing of.
func defaults() *Group {
	return &Group{
		Canary:   Canary{Share: 0.05, Max: 50, Polls: LeastPolls},
		BrownOut: BrownOut{Lengths: []Length{{Polls: 10}, {Polls: 20}, {Polls: 40}}},
		BackOut:  BackOut{SilentPolls: 8, Others: 0.01},
		Gates: Gates{BetterShare: 0.99, BetterDays: 7, WatchedDays: 7, LongestGap: time.Hour, NoForgotten: true,
			AnotherServer: AnotherOfMute, KEHeadroom: 2, CertificateDays: 14},
	}
}
