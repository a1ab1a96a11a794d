package bridge

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"ntsbridge/bridge/config"
	"ntsbridge/bridge/server"
)

// The end of a takeover is warned of 30, 7 and 1 days before, and when it comes,
// with the addresses that still need it; each once.
func TestTakeoverEnds(t *testing.T) {
	until := time.Date(2027, 6, 30, 0, 0, 0, 0, time.UTC)
	a := &config.Autokey{Enabled: true, Seed: config.SeedOwn, Takeover: config.Takeover{Enabled: true, Until: until}}
	var w takeoverWatch
	warned := map[int]string{} // hours before the end
	for now := until.AddDate(0, 0, -40); now.Before(until.AddDate(0, 0, 3)); now = now.Add(time.Hour) {
		for _, text := range w.look(now, a, func(since time.Time) []server.ZeroSeedClient {
			return []server.ZeroSeedClient{{Address: netip.MustParseAddr("192.0.2.7"), Seen: now}}
		}) {
			warned[int(until.Sub(now).Hours())] = text
		}
	}
	if len(warned) != 4 {
		t.Fatalf("warned of: %v", warned)
	}
	for _, hours := range []int{30 * 24, 7 * 24, 24, 0} {
		if !strings.Contains(warned[hours], "1 clients (192.0.2.7)") || !strings.Contains(warned[hours], "2027-06-30") {
			t.Errorf("%d hours before: %q", hours, warned[hours])
		}
	}
	if !strings.Contains(warned[0], "takeover ended at") || strings.Contains(warned[24], "ended") {
		t.Errorf("%q, %q", warned[24], warned[0])
	}
}

// After a start within the last days the clients are waited for, and only what
// is due now is said; a later end begins anew.
func TestTakeoverAfterStart(t *testing.T) {
	now := time.Date(2027, 6, 29, 12, 0, 0, 0, time.UTC)
	a := &config.Autokey{Enabled: true, Seed: config.SeedOwn, Takeover: config.Takeover{Enabled: true, Until: now.AddDate(0, 0, 5)}}
	none := func(time.Time) []server.ZeroSeedClient { return nil }
	var w takeoverWatch
	if got := w.look(now, a, none); got != nil {
		t.Errorf("at once: %q", got)
	}
	if got := w.look(now.Add(time.Hour), a, none); len(got) != 1 || !strings.Contains(got[0], "no client") {
		t.Errorf("after an hour: %q", got)
	}
	a.Takeover.Until = now.AddDate(1, 0, 0)
	if got := w.look(now.Add(2*time.Hour), a, none); got != nil {
		t.Errorf("a later end: %q", got)
	}
	a.Takeover.Until = now.AddDate(0, 0, 20)
	if got := w.look(now.Add(3*time.Hour), a, none); len(got) != 1 {
		t.Errorf("an earlier end: %q", got)
	}
}

// Without a takeover clients of ntpd are named, once an hour; in a trial there
// is nothing to say.
func TestTakeoverMissing(t *testing.T) {
	now := time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)
	a := &config.Autokey{Enabled: true, Seed: config.SeedOwn}
	clients := func(time.Time) []server.ZeroSeedClient {
		list := []server.ZeroSeedClient{{Address: netip.MustParseAddr("192.0.2.99")}}
		for i := range 25 {
			list = append(list, server.ZeroSeedClient{Address: netip.AddrFrom4([4]byte{192, 0, 2, byte(i)}), Refused: true})
		}
		return list
	}
	var w takeoverWatch
	got := w.look(now, a, clients)
	if len(got) != 1 || !strings.Contains(got[0], "25 clients (192.0.2.0 192.0.2.1 ") || !strings.Contains(got[0], "and 5 more)") ||
		!strings.Contains(got[0], "autokey.takeover") || strings.Contains(got[0], "192.0.2.99") {
		t.Errorf("%q", got)
	}
	if got := w.look(now.Add(time.Minute), a, clients); got != nil {
		t.Errorf("a minute later: %q", got)
	}
	if got := w.look(now.Add(time.Hour), a, clients); len(got) != 1 {
		t.Errorf("an hour later: %q", got)
	}
	a.Seed = config.SeedZero
	if got := w.look(now.Add(3*time.Hour), a, clients); got != nil {
		t.Errorf("trial: %q", got)
	}
}

// Dropped requests of hosts without a group are told of once an hour.
func TestGroupWatch(t *testing.T) {
	now := time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)
	var w groupWatch
	n := uint64(0)
	count := func() uint64 { return n }
	if text := w.look(now, "tick@site", count); text != "" {
		t.Errorf("nothing dropped: %q", text)
	}
	n = 3
	if text := w.look(now.Add(time.Minute), "tick@site", count); !strings.Contains(text, "3 requests") ||
		!strings.Contains(text, "keygen -i site") {
		t.Errorf("%q", text)
	}
	n = 5
	if text := w.look(now.Add(2*time.Minute), "tick@site", count); text != "" {
		t.Errorf("a minute later: %q", text)
	}
	if text := w.look(now.Add(2*time.Hour), "tick@site", count); !strings.Contains(text, "2 requests") {
		t.Errorf("two hours later: %q", text)
	}
}
