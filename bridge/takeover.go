package bridge

import (
	"fmt"
	"strings"
	"time"

	"ntsbridge/bridge/config"
	"ntsbridge/bridge/server"
)

const (
	// seedWindow is for how long an address counts as a client: the longest
	// poll interval of ntpd (2^17 s) would be too long to wait for.
	seedWindow = 24 * time.Hour
	// seedPause is the least time between two warnings of refused clients.
	seedPause = time.Hour
	// seedGathering is how long after a start its clients are waited for before
	// a warning lists them: a poll interval of 1024 s and a lost packet.
	seedGathering = 40 * time.Minute
	// seedListed is how many addresses a warning names.
	seedListed = 20
)

// takeoverDays are how many days before its end a takeover is warned of.
var takeoverDays = []int{30, 7, 1, 0}

// takeoverWatch warns of clients that an ntpd left behind: those that are
// refused since there is no takeover, and those that will be when it ends.
type takeoverWatch struct {
	began   time.Time // of the watch
	warned  time.Time // last, of refused clients
	until   time.Time // of the takeover that stage is about
	stage   int       // of takeoverDays: how many were warned of
	present bool      // stage is about something
}

// look returns what is to be warned of now. clients returns those seen since a
// time; it is only called if there may be something to say.
func (w *takeoverWatch) look(now time.Time, a *config.Autokey, clients func(since time.Time) []server.ZeroSeedClient) []string {
	if !a.Enabled || a.Seed == config.SeedZero {
		*w = takeoverWatch{began: now}
		return nil
	}
	if w.began.IsZero() {
		w.began = now
	}
	var warnings []string
	if text := w.ending(now, a, clients); text != "" {
		warnings = append(warnings, text)
	}
	if text := w.refused(now, clients); text != "" {
		warnings = append(warnings, text)
	}
	return warnings
}

// ending warns before a takeover ends, and when it does.
func (w *takeoverWatch) ending(now time.Time, a *config.Autokey, clients func(time.Time) []server.ZeroSeedClient) string {
	until := a.Takeover.Until
	if !a.Takeover.Enabled {
		w.present = false
		return ""
	}
	if !w.present || !w.until.Equal(until) {
		w.present, w.until, w.stage = true, until, 0
	}
	stage := w.stage
	for stage < len(takeoverDays) && !now.Before(until.AddDate(0, 0, -takeoverDays[stage])) {
		stage++
	}
	if stage == w.stage || now.Sub(w.began) < seedGathering {
		return ""
	}
	w.stage = stage
	list := clients(now.Add(-seedWindow))
	when, then := "ends at "+until.UTC().Format(time.DateTime)+" UTC", "will be cut off then"
	if stage == len(takeoverDays) {
		when, then = "ended at "+until.UTC().Format(time.DateTime)+" UTC", "are cut off now"
	}
	if len(list) == 0 {
		return fmt.Sprintf("Autokey takeover %s: no client with a cookie of ntpd was seen in the last day", when)
	}
	return fmt.Sprintf("Autokey takeover %s: %s still have a cookie of ntpd and %s, until they are restarted: "+
		"restart their ntpd, move them to NTS, or set a later autokey.takeover.until", when, addresses(list), then)
}

// refused warns of clients that are refused now.
func (w *takeoverWatch) refused(now time.Time, clients func(time.Time) []server.ZeroSeedClient) string {
	if now.Sub(w.warned) < seedPause {
		return ""
	}
	var list []server.ZeroSeedClient
	for _, c := range clients(now.Add(-seedPause)) {
		if c.Refused {
			list = append(list, c)
		}
	}
	if len(list) == 0 {
		return ""
	}
	w.warned = now
	return fmt.Sprintf("Autokey: %s have a cookie of ntpd and are refused: these clients were ntpd's; those of ntpd 4.2.8 never ask for "+
		"another one (those of 4.2.6 and 4.2.4 do by themselves): set autokey.takeover with a date, or restart their ntpd", addresses(list))
}

// groupWatch warns of Autokey clients without a group, which a host that has one
// drops without a word, as ntpd does.
type groupWatch struct {
	looked, warned time.Time
	told           uint64 // requests
}

// look returns what is to be warned of now; dropped counts the requests.
func (w *groupWatch) look(now time.Time, host string, dropped func() uint64) string {
	if now.Sub(w.looked) < time.Minute {
		return ""
	}
	w.looked = now
	n := dropped()
	if n == w.told || now.Sub(w.warned) < seedPause {
		return ""
	}
	n, w.told, w.warned = n-min(w.told, n), n, now
	_, group, _ := strings.Cut(host, "@")
	return fmt.Sprintf("Autokey: %d requests of hosts without a group were dropped: this host is %s, which answers names with a group only, as "+
		"ntpd does; make the clients' files with keygen -i %s, or this host's without -i", n, host, group)
}

// addresses counts clients and names the first of them.
func addresses(list []server.ZeroSeedClient) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d clients (", len(list))
	for i, c := range list {
		if i == seedListed {
			fmt.Fprintf(&b, " and %d more", len(list)-i)
			break
		}
		if i > 0 {
			b.WriteString(" ")
		}
		b.WriteString(c.Address.String())
	}
	b.WriteString(")")
	return b.String()
}
