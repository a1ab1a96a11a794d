package page

import (
	"sync"
	"time"

	"ntsbridge/bridge/fleet/history"
	"ntsbridge/bridge/fleet/report"
	"ntsbridge/bridge/fleet/steer"
)

// keptFor is how old a report may be that costs a pass over all clients; one that
// takes long to make is kept for longer, so that looking takes a twentieth of a
// processor at most.
const (
	keptFor   = 5 * time.Second
	keptTimes = 20
)

// kept are such reports.
type kept struct {
	summary report1[*report.Summary]
	keys    report1[[]*report.Key]
	status  report1[*steer.Status]
	lately  report1[[]*history.Entry] // of the history

	// Of all gateways.
	siteSummary report1[*report.Summary]
	siteDays    report1[[]report.DayCount]
	siteKeys    report1[[]*report.Key]
}

// report1 is a report that is made once for all who ask at the same time.
type report1[T any] struct {
	mu    sync.Mutex
	at    time.Time
	keeps time.Duration
	value T
}

func (k *report1[T]) get(now time.Time, make func() (T, error)) (T, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if age := now.Sub(k.at); !k.at.IsZero() && age >= 0 && age < k.keeps {
		return k.value, nil
	}
	began := time.Now()
	v, err := make()
	if err == nil {
		k.value, k.at, k.keeps = v, now, max(keptFor, keptTimes*time.Since(began))
	}
	return v, err
}

// forget makes the next one who asks get a new report.
func (k *report1[T]) forget() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.at = time.Time{}
}
