package bridge

import (
	"crypto/rand"
	"math"
	"time"

	"ntsbridge/bridge/access"
	"ntsbridge/bridge/config"
)

// autokeyBudget is the bound of public-key work in the units of package
// autokey, microseconds of a core.
func autokeyBudget(cfg *config.Config) (*access.Budget, error) {
	const perCore = 1e6
	b := &cfg.Autokey.Budget
	bucket := func(cores float64, burst time.Duration) access.Bucket {
		return access.Bucket{Rate: math.Max(1, cores*perCore), Burst: int(math.Max(1, burst.Seconds()*perCore))}
	}
	c := access.BudgetConfig{Clients: limiterConfig(cfg), Now: monotonic,
		Each: bucket(b.ClientCPU, b.ClientBurst), All: bucket(b.CPU, b.Burst)}
	c.Clients.Clients = b.Clients
	if _, err := rand.Read(c.Clients.Seed[:]); err != nil {
		return nil, err
	}
	return access.NewBudget(c)
}

// processStart is the moment that monotonic counts from.
var processStart = time.Now()

// monotonic is the time of budgets, nanoseconds.
func monotonic() int64 { return int64(time.Since(processStart)) }
