package keyring

import (
	"fmt"
	"strings"
	"time"

	"ntsbridge/bridge/fleet/gate"
	"ntsbridge/bridge/fleet/inventory"
)

// Facts are what the gate of a key rests on.
type Facts struct {
	ID      uint32
	Quiet   time.Duration // for which nobody may have used it
	Now     time.Time
	Watched []gate.Interval // in which the inventory watched, in order; none: there is no inventory
	Full    inventory.Full
	Clients []gate.Client // that were answered by it within Quiet
	Sources []string      // of our own that use it
}

// longestGap in watching does not count.
const longestGap = time.Hour

// Gate tells whether a key may go, gate by gate, with the evidence and the clients
// in the way.
func Gate(f *Facts) []gate.Result {
	from := uint32(max(f.Now.Add(-f.Quiet).Unix(), 0))
	quiet := gate.Result{Name: "quiet", Open: len(f.Clients) == 0, InTheWay: len(f.Clients), Clients: f.Clients,
		Evidence: fmt.Sprintf("nobody was answered by key %d in the last %d days", f.ID, days(f.Quiet))}
	if !quiet.Open {
		quiet.Evidence = fmt.Sprintf("%d clients were answered by key %d in the last %d days", len(f.Clients), f.ID, days(f.Quiet))
	}
	own := gate.Result{Name: "own_sources", Open: len(f.Sources) == 0, Evidence: "no source of our own uses it"}
	if !own.Open {
		own.Evidence = "our own " + strings.Join(f.Sources, ", ") + " would have no key any more"
	}
	forgotten := gate.Result{Name: gate.NoForgotten, Open: f.Full.Forgotten == 0 || f.Full.LastForgotten < from,
		Evidence: "no client was forgotten for want of room"}
	if !forgotten.Open {
		forgotten.Evidence = fmt.Sprintf("%d clients were forgotten for want of room: raise fleet.clients", f.Full.Forgotten)
	}
	return []gate.Result{quiet, watched(f, from), forgotten, own}
}

func watched(f *Facts, from uint32) gate.Result {
	r := gate.Result{Name: gate.Watched}
	now := uint32(f.Now.Unix())
	reach := now
	for i := len(f.Watched) - 1; i >= 0; i-- {
		w := f.Watched[i]
		if reach-min(reach, w.End) > uint32(longestGap/time.Second) {
			break
		}
		reach = min(reach, w.Start)
	}
	if r.Open = reach <= from && len(f.Watched) > 0; r.Open {
		r.Evidence = fmt.Sprintf("watched without a gap since %s", time.Unix(int64(reach), 0).UTC().Format(time.DateOnly))
		return r
	}
	r.Evidence = fmt.Sprintf("watched without a gap for %d of %d days: not seen is only said of time that was watched",
		days(time.Duration(now-reach)*time.Second), days(f.Quiet))
	return r
}
