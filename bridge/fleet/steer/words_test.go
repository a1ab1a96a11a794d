package steer_test

import (
	"strings"
	"testing"
)

// What is held by all is said once, and resuming one group of all that is held
// does not say that it may go on now.
func TestHeldIsSaidOnce(t *testing.T) {
	w := newWorld(t, testPlan, 5)
	w.advance()
	if _, err := w.c.Hold(w.now, "", by); err != nil {
		t.Fatal(err)
	}
	_, err := w.c.Advance(w.now, "fra", "", by)
	if err == nil || strings.Count(err.Error(), "test") != 1 || !strings.HasPrefix(err.Error(), "canary of fra by symmetric does not begin, something is in its way:\n") {
		t.Errorf("%v", err)
	}
	if said, err := w.c.Resume(w.now, "fra", by); err != nil || !strings.Contains(said, "still held") {
		t.Errorf("%s, %v", said, err)
	}
	if said, err := w.c.Resume(w.now, "", by); err != nil || said != "all groups: may go on" {
		t.Errorf("%s, %v", said, err)
	}
	w.advance()
}
