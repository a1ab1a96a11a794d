package page

import (
	"net/http"
	"testing"

	"ntsbridge/bridge/control/remote"
	"ntsbridge/bridge/fleet/report"
)

// BenchmarkFirstView makes pages of a gateway with 100,000 clients, of which
// nothing is kept from a look before.
func BenchmarkFirstView(b *testing.B) {
	w := newWorld(b, 100_000)
	days := w.days("")
	w.src.Inventory.Days = func(string) []report.DayCount { return days }
	w.src.Inventory.Summary = w.fleet.Summary
	for _, path := range []string{"/", "/clients", "/clients?sort=last&legacy_only=1", "/client?address=10.2.0.2", "/migration", "/keys"} {
		b.Run(path[1:], func(b *testing.B) {
			for b.Loop() {
				if got := get(w.page(), path, remote.Write); got.Code != http.StatusOK {
					b.Fatal(got.Code, got.Body)
				}
			}
		})
	}
}
