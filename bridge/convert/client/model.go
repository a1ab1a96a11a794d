package client

import (
	"fmt"
	"strings"

	"ntsbridge/bridge/convert/job"
	"ntsbridge/bridge/convert/syntax"
	"ntsbridge/symkey"
)

// clientModel is what all client daemons are told.
type clientModel struct {
	servers  []clientServer
	clocks   []*job.Source // reference clocks
	nts      bool
	key      *symkey.Key
	minPoll  int
	maxPoll  int
	minsane  int // 0: not given
	panicOff *syntax.Statement
	panicAt  float64 // s; 0: not given
	step     *syntax.Statement
	stepAt   float64
	leapFile string
	leap     *syntax.Statement
	noSteer  *syntax.Statement
	noSelect bool

	maxDistance   *syntax.Statement   // of chronyd
	maxDistanceAt float64             // s
	was           []*syntax.Statement // source lines that the gateway replaces
	fallback      fallback
}

// clientServer is a gateway.
type clientServer struct {
	name   string
	iburst bool
	prefer bool
}

// writer writes configurations of clients.
type writer struct{ *job.Job }

// clientText collects the lines of an output with the lines they come from.
type clientText struct {
	strings.Builder
	c    *writer
	seen map[string]bool
}

// put writes lines below the original ones.
func (t *clientText) put(from []*syntax.Statement, place string, lines ...string) {
	t.WriteString("\n")
	for _, s := range from {
		for _, text := range t.c.Quote(s) {
			if !t.seen[text] {
				t.seen[text] = true
				t.WriteString("# " + text + "\n")
			}
		}
		t.c.Record(s).Into(place)
		t.c.Ledger.Use(s, "")
	}
	for _, line := range lines {
		t.WriteString(line + "\n")
	}
}

// fallback is what a host that goes on serving others serves while it has no
// source: its own clock at a stratum.
type fallback struct {
	stratum int // 0: nothing
	orphan  bool
	from    []*syntax.Statement
}

// serverLines are the lines of the gateways for chronyd and ntpd, with what each
// of them needs beside nts or the key.
func (m *clientModel) serverLines(withNTS, withKey string) (lines []string) {
	for _, s := range m.servers {
		line := fmt.Sprintf("server %s iburst minpoll %d maxpoll %d", s.name, m.minPoll, m.maxPoll)
		if m.nts {
			line += " nts" + withNTS
		} else {
			line += fmt.Sprintf(" key %d%s", m.key.ID(), withKey)
		}
		switch {
		case m.noSelect:
			line += " noselect"
		case s.prefer:
			line += " prefer"
		}
		lines = append(lines, line)
	}
	return lines
}
