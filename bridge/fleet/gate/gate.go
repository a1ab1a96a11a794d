package gate

import (
	"fmt"
	"net/netip"
	"strings"
	"time"

	"ntsbridge/bridge/fleet/inventory"
	"ntsbridge/bridge/fleet/plan"
	"ntsbridge/bridge/fleet/silence"
)

// Names of the gates.
const (
	BetterMeans   = "better_means"
	QuietDays     = "quiet_days"
	Watched       = "watched"
	NoForgotten   = "no_forgotten"
	AnotherServer = "another_server"
	KEHeadroom    = "nts_ke.headroom"
	KECertificate = "nts_ke.certificate_days"
)

// Result is one gate. Clients are some of those in the way, the first seen
// first; InTheWay is how many there are.
type Result struct {
	Name     string   `json:"gate"`
	Open     bool     `json:"open"`
	Evidence string   `json:"evidence"`
	InTheWay int      `json:"in_the_way"`
	Clients  []Client `json:"clients,omitempty"`
}

// Client is one in the way of a step.
type Client struct {
	Address string `json:"address"`
	Why     string `json:"why"`
}

// maxClients is how many clients a result lists.
const maxClients = 100

// Interval is a stretch of time, seconds since 1970.
type Interval struct{ Start, End uint32 }

// Step is what is to be done: a stage that a group enters by one means.
type Step struct {
	Group *plan.Group
	Means plan.Means
	Stage plan.Stage
	Takes time.Duration // how long it lasts, 0: for good
}

// Facts are what is known beside the clients.
type Facts struct {
	Now     time.Time
	Watched []Interval // in which the inventory watched, in order
	Full    inventory.Full
	// KECapacity is how many NTS-KE handshakes a second the gateway can take, as
	// measured; 0: not known.
	KECapacity float64
	// Certificate is when the first certificate of NTS-KE ends; zero: there is none.
	Certificate time.Time
	Ours        func(refid uint32) bool // of an address of ours
	// Member reports whether a client belongs to the group, and whether the plan
	// protects it. Uses reports whether one of its means is the one that the step
	// takes away, and Refuses whether the step refuses it: of a canary's group
	// only some.
	Member  func(c *inventory.Client) (member, protected bool)
	Uses    func(c *inventory.Client, m *inventory.Means) bool
	Refuses func(c *inventory.Client, m *inventory.Means) bool
	// Refused returns when a means was refused by steps before this one; nil: never.
	Refused func(c *inventory.Client, m *inventory.Means) []silence.Span
	// Elsewhere reports whether another gateway of the site sees a client, too;
	// nil: there is none.
	Elsewhere func(prefix netip.Prefix) bool
}

// Evaluation counts the clients of a step.
type Evaluation struct {
	step  Step
	facts Facts
	now   uint32

	members, better, away int // clients of the group; with better means; not seen for long
	worse, quiet, alone   tally
	refused               int     // clients that the step refuses
	asked                 int     // of them, that must have another server
	exchanges             float64 // NTS-KE a second that it may bring
	watchedSince          uint32
}

// New begins the evaluation of a step.
func New(step Step, facts *Facts) *Evaluation {
	e := &Evaluation{step: step, facts: *facts, now: uint32(facts.Now.Unix())}
	e.watchedSince = ContinuousSince(facts.Watched, e.now, step.Group.Gates.LongestGap)
	return e
}

// tally is clients in the way of one gate.
type tally struct {
	n    int
	list []Client
}

// add counts one. Of those that are told of, which are few, tell says why.
func (t *tally) add(c *inventory.Client, tell func() string) {
	if t.n++; len(t.list) < maxClients {
		t.list = append(t.list, Client{c.Name(), tell()})
	}
}

func (e *Evaluation) days(n int) uint32 { return e.now - min(e.now, uint32(n)*86400) }

// Results returns the gates that the plan sets for the group, in the order of
// the package comment. All of them must be open.
func (e *Evaluation) Results() (list []Result) {
	g := &e.step.Group.Gates
	for _, gate := range []struct {
		set  bool
		make func(*plan.Gates) Result
	}{
		{g.BetterShare > 0, e.betterMeans},
		{g.QuietDays > 0, e.quietDays},
		{g.WatchedDays > 0, e.watched},
		{g.NoForgotten, e.noForgotten},
		{g.AnotherServer != plan.AnotherOfNone, e.anotherServer},
		{g.KEHeadroom > 0, e.headroom},
		{g.CertificateDays > 0, e.certificate},
	} {
		if gate.set {
			list = append(list, gate.make(g))
		}
	}
	return list
}

// Open reports whether all gates are open.
func Open(list []Result) bool {
	for i := range list {
		if !list[i].Open {
			return false
		}
	}
	return true
}

// Shut returns the evidence of the gates that are shut, a line each; empty: all
// are open.
func Shut(list []Result) string {
	var lines []string
	for i := range list {
		if r := &list[i]; !r.Open {
			lines = append(lines, r.Name+": "+r.Evidence)
		}
	}
	return strings.Join(lines, "\n")
}

func (e *Evaluation) result(name string, open bool, t *tally, format string, values ...any) Result {
	r := Result{Name: name, Open: open, Evidence: fmt.Sprintf(format, values...)}
	if t != nil && !open {
		r.InTheWay, r.Clients = t.n, t.list
	}
	return r
}
