package discipline

import "testing"

// The last source that was followed goes: the clock holds over on what it
// taught.
func TestRemoveTheLastSource(t *testing.T) {
	r := newRig(t, DefaultConfig(), poll4, poll4)
	r.run(600)
	before := r.status().Stratum
	for _, s := range r.servers {
		r.d.RemoveSource(s.id)
	}
	r.servers = nil
	r.run(60)
	r.synchronised(t, true)
	r.honest(t)
	if st := r.status(); st.Stratum != before {
		t.Errorf("stratum %d, before it %d", st.Stratum, before)
	}
}

// A gap before the first answer must not delay the first selection: the base
// may have any reading.
func TestGapBeforeTheFirstAnswer(t *testing.T) {
	r := newRig(t, DefaultConfig(), poll4, poll4, poll4)
	r.d.Gap(r.rawNow(), 5, 1)
	r.servers[1].silent, r.servers[2].silent = true, true
	r.run(120)
	r.synchronised(t, true)
}
