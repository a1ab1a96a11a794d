package discipline

import "testing"

// A reference clock has stratum 0 and no delay. It is followed, and we are
// stratum 1; a server that says stratum 0 has no time.
func TestReferenceClock(t *testing.T) {
	gps := SourceConfig{MinPoll: 4, MaxPoll: 4, RefClock: true, Noise: 1e-6}
	r := newRig(t, DefaultConfig(), gps)
	r.servers[0].delay = 0
	r.servers[0].change = func(x *Sample) { x.Stratum, x.T1, x.RootDelay = 0, x.T4, 1e-6 }
	r.run(600)
	st := r.d.Status(r.reading())
	if !st.Synchronised || st.Stratum != 1 || st.Distance() > 1e-3 {
		t.Errorf("status %+v", st)
	}

	r = newRig(t, DefaultConfig(), poll4)
	r.servers[0].change = func(x *Sample) { x.Stratum = 0 }
	r.run(200)
	if st := r.d.Status(r.reading()); st.Synchronised {
		t.Errorf("a server of stratum 0 was followed: %+v", st)
	}
}
