package bridge

import (
	"fmt"
	"os"
	"time"

	"ntsbridge/bridge/fleet/gate"
	"ntsbridge/bridge/fleet/store"
)

// others are the clients of other gateways.
type others struct {
	at   time.Time
	seen gate.Elsewhere
}

func readOthers(files []string) (seen gate.Elsewhere, errs []error) {
	seen = gate.Elsewhere{}
	for _, path := range files {
		f, err := os.Open(path)
		if err == nil {
			err = seen.Read(f)
			_ = f.Close()
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", path, err))
		}
	}
	return seen, errs
}

// ourIDs are the reference identifiers of this host's addresses.
type ourIDs struct {
	at  time.Time
	ids map[uint32]bool
}

func intervals(watched []store.Interval) []gate.Interval {
	list := make([]gate.Interval, 0, len(watched))
	for _, w := range watched {
		list = append(list, gate.Interval{Start: w.Start, End: w.End})
	}
	return list
}
