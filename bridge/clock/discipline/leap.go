package discipline

// leapMargin is how far around a leap second nothing is learned, ns: servers
// apply it early, late or not at once.
const leapMargin = int64(2e9)

// leapGuard knows the leap second that is armed, or was the last one.
type leapGuard struct {
	armed   bool
	applied bool
	at      int64 // Unix time of the month that begins after it, ns
	by      int64 // seconds inserted, 1 or -1
}

// touches tells whether an exchange lies around the leap second, or after it
// while the clock has not had it yet.
func (g *leapGuard) touches(s *Sample) bool {
	if !g.armed || s.T3 < g.at-leapMargin-max(-g.by, 0)*1e9 {
		return false
	}
	return !g.applied || s.T2 <= g.at+leapMargin
}
