package steer_test

import (
	"strings"
	"testing"
	"time"
)

// Clients that asked yesterday, and do not now, are told of: a step cannot try
// them, and goes by.
func TestIdleClientsAreTold(t *testing.T) {
	w := newWorld(t, testPlan, 5)
	w.advance()
	for _, k := range w.clients {
		k.gone = true
	}
	w.run(2 * time.Hour)
	var text strings.Builder
	if err := w.c.Status(w.now).WriteText(&text); err != nil || !strings.Contains(text.String(), "next is canary; 5 more asked in the last 30 days, do not now, and are not tried") {
		t.Errorf("%v\n%s", err, &text)
	}
	said, err := w.c.Advance(w.now, "fra", "", by)
	if want := "step 2: nobody uses symmetric in fra now (5 did in the last 30 days, and are not tried); it is in canary"; err != nil || said != want {
		t.Errorf("%q, %v", said, err)
	}
}

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
