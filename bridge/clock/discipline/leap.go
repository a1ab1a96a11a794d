package discipline

// leapMargin is how far around a leap second nothing is learned, ns: servers
// apply it early, late or not at once.
const leapMargin = int64(2e9)

// leapGuard knows the leap second that is armed.
type leapGuard struct {
	armed bool
	at    int64 // Unix time of the first second after it, ns
	by    int   // seconds inserted, 1 or -1
}

// touches tells whether an exchange lies around the leap second.
func (g *leapGuard) touches(s *Sample) bool {
	return g.armed && s.T2 <= g.at+leapMargin && s.T3 >= g.at-leapMargin-int64(g.by)*1e9
}
