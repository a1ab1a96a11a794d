package discipline

// Reading is both clocks at one instant, with what is in force.
type Reading struct {
	Raw    Instant
	System int64   // Unix time of the system clock, ns
	Rate   float64 // frequency correction in force, s/s, as read back
}

// frame is in which all that is estimated is expressed: seconds since the first
// sample, and offsets from that sample's, so that differences of integers
// become small floating-point numbers.
type frame struct {
	begun  bool
	origin Instant // of all seconds within
	epoch  int64   // base minus Unix time that counts as phase 0, ns
}

// seconds and instant convert between the base and seconds since the origin.
func (f *frame) seconds(t Instant) float64 { return t.since(f.origin) }
func (f *frame) instant(s float64) Instant { return f.origin + Instant(s*1e9) }

// begin fixes the frame by the first sample: its own offset is phase 0.
func (f *frame) begin(s *Sample) {
	f.begun, f.origin = true, s.T1
	f.epoch = middle(int64(s.T1), int64(s.T4)) - middle(s.T2, s.T3)
}

// system is the error of the system clock at a reading in the frame, where x is
// that of the base, s.
func (f *frame) system(r Reading, x float64) float64 {
	return float64(r.System-int64(r.Raw)+f.epoch)/1e9 + x
}

func middle(a, b int64) int64 { return a + (b-a)/2 }
