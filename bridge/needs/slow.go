package needs

import "testing"

// Slow ends a test that takes seconds where only a quick look is wanted: by
// go test -short. The race detector's run is short too, but runs these.
func Slow(t testing.TB) {
	t.Helper()
	if testing.Short() && !raced {
		t.Skip("takes seconds: run without -short")
	}
}
