package bridge

import (
	"fmt"
	"slices"
	"time"

	"ntsbridge/bridge/control"
)

// shareInterval is how often it is looked who else has our ports.
const shareInterval = 10 * time.Second

// watchPorts looks now and then whether another program has one of our ports
// too, and takes packets that are meant for us.
func (b *Bridge) watchPorts(now time.Time) {
	if now.Sub(b.portsSeen) < shareInterval {
		return
	}
	b.portsSeen = now
	var found []string
	for _, s := range b.server.Sharers() {
		found = append(found, fmt.Sprintf("%v has %v too and gets a part of the requests: stop it, or give it another address", s, s.Local))
	}
	if old := b.sharers.Load(); old != nil && slices.Equal(*old, found) || old == nil && found == nil {
		return
	}
	b.sharers.Store(&found)
	for _, text := range found {
		b.log.Error("a port is shared", "problem", text)
	}
	if found == nil {
		b.log.Info("our ports are ours alone again")
	}
}

// status tells what this daemon is and what is the matter with it.
func (b *Bridge) status() *control.Status {
	state := b.clock.State(time.Now())
	s := &control.Status{Started: b.started, Addresses: b.Addresses(), Leap: state.Leap, Associations: len(b.sources.Snapshot()),
		Problems: []string{}}
	if state.Synchronised() {
		s.Stratum, s.ReferenceID = state.Stratum, control.ReferenceID(state.ReferenceID)
	}
	if b.ke != nil {
		s.KE = b.ke.Addrs()
		ke := b.ke.Status(time.Now())
		s.Problems = append(s.Problems, ke.Problems()...)
	}
	s.Problems = append(s.Problems, b.noted...)
	for _, why := range []string{b.api.Problem(), b.page.Problem()} {
		if why != "" {
			s.Problems = append(s.Problems, why)
		}
	}
	s.Fastpath = b.fastpathStatus()
	s.Problems = append(s.Problems, b.fastpathProblems(s.Fastpath)...)
	if why := b.site.Problem(); why != "" {
		s.Problems = append(s.Problems, why)
	}
	if found := b.sharers.Load(); found != nil {
		s.Problems = append(s.Problems, *found...)
	}
	for _, from := range b.sources.Snapshot() {
		if from.Why != "" {
			s.Problems = append(s.Problems, from.Name+": "+from.Why)
		}
	}
	return s
}

// maxTick is how long ago the last tick may be: one takes milliseconds.
const maxTick = 10 * time.Second

// Alive reports whether the daemon serves: every worker answers when it is
// woken, and the clock is looked after. It waits so long at most.
func (b *Bridge) Alive(patience time.Duration) error {
	if since := time.Since(time.Unix(0, b.ticked.Load())); since > maxTick {
		return fmt.Errorf("the clock was not looked after for %v", since)
	}
	return b.server.Alive(patience)
}

// StatusLine is the status in a line, for a service manager.
func (b *Bridge) StatusLine() string {
	s := b.status()
	line := fmt.Sprintf("serving %d addresses, stratum %d", len(s.Addresses), s.Stratum)
	if s.Stratum == 0 {
		line = fmt.Sprintf("serving the alarm on %d addresses: the clock is not synchronised", len(s.Addresses))
	}
	if n := len(s.Problems); n > 0 {
		line += fmt.Sprintf("; problems: %d (ntsbridge status)", n)
	}
	return line
}
