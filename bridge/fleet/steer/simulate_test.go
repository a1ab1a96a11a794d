package steer_test

import (
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"ntsbridge/bridge/fleet/inventory"
	"ntsbridge/bridge/fleet/plan"
	"ntsbridge/bridge/fleet/simulate"
	"ntsbridge/bridge/ntp"
)

// The clients of a canary that is simulated are those that the controller then
// chooses, where some were not seen for hours.
func TestCanaryAsSimulated(t *testing.T) {
	for seed := range uint64(20) {
		r := rand.New(rand.NewPCG(seed, 7))
		w := newWorld(t, testPlan, 60)
		w.advance()
		wall := uint32(w.now.Wall.Unix())
		for _, k := range w.clients {
			ago := []uint32{10, 1000, 4000, 20_000, 90_000, 9 * 86_400}[r.IntN(6)]
			m := &k.row.Means[0]
			k.gone, k.row.Last, m.Last, m.Served, m.Answered = true, wall-ago, wall-ago, wall-ago, 5
			m.Interval = []time.Duration{0, testPoll, 2 * time.Hour}[r.IntN(3)]
		}
		p, _ := plan.Parse("fleet.yaml", []byte(testPlan))
		s, err := simulate.New(simulate.Policy{Plan: p, Stage: plan.CanaryRefusal, Key: []byte("key")}, w.environment().Each, wall, 0)
		if err != nil {
			t.Fatal(err)
		}
		w.advance()
		for _, k := range w.clients {
			step := w.rules.Lookup(netip.AddrPortFrom(k.row.Prefix.Addr(), 123)).Refuses(ntp.KindSymmetric, 5)
			if fate, _ := s.Fate(&k.row, &inventory.Means{Kind: ntp.KindSymmetric, Key: 5, Version: 4}); fate.Served != (step == nil) {
				t.Errorf("seed %d, %v: simulated %+v, refused by %+v", seed, k.row.Prefix, fate, step)
			}
		}
	}
}
