package page

import (
	"net/http"
	"syscall"
	"testing"
	"time"

	"ntsbridge/bridge/control/remote"
	"ntsbridge/bridge/fleet/report"
)

// BenchmarkFirstView makes pages of a gateway with 100,000 clients, of which
// nothing is kept from a look before. What the processor needs is told apart: a
// machine may have other work.
func BenchmarkFirstView(b *testing.B) {
	w := newWorld(b, 100_000)
	days := w.days("")
	w.src.Inventory.Days = func(string) []report.DayCount { return days }
	w.src.Inventory.Summary = w.fleet.Summary
	for _, path := range []string{"/", "/clients", "/clients?sort=last&legacy_only=1", "/client?address=10.2.0.2", "/migration", "/keys"} {
		b.Run(path[1:], func(b *testing.B) {
			busy, rounds := cpuTime(), 0
			for b.Loop() {
				rounds++
				if got := get(w.page(), path, remote.Write); got.Code != http.StatusOK {
					b.Fatal(got.Code, got.Body)
				}
			}
			b.ReportMetric(float64((cpuTime()-busy).Milliseconds())/float64(rounds), "cpu-ms/op")
		})
	}
}

func cpuTime() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
