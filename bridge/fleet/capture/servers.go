package capture

import (
	"io"
	"net/netip"

	"ntsbridge/bridge/ntp"
)

// ntpPort and kePort are the ports of NTP and NTS-KE.
const (
	ntpPort = 123
	kePort  = 4460
)

// maxPairs bounds the pairs of addresses that are looked at.
const maxPairs = 1 << 20

// pair is who asked whom.
type pair struct{ client, server netip.Addr }

// findServers returns the addresses whose clients a capture shows: at the host
// that is captured, every request has one of its addresses as source or
// destination, and it is asked by more than it asks. So those addresses are
// taken that have a part in most pairs, one after the other, until none is
// left.
func findServers(r io.Reader, p *Problems) (map[netip.Addr]bool, error) {
	pairs := make(map[pair]bool)
	err := each(r, p, func(d *datagram) {
		asked := d.tcp == nil && d.to.Port() == ntpPort && isRequest(d.payload) || d.tcp != nil && d.to.Port() == kePort
		if asked && len(pairs) < maxPairs {
			pairs[pair{d.from.Addr(), d.to.Addr()}] = true
		}
	})
	servers := make(map[netip.Addr]bool)
	for err == nil && len(pairs) > 0 {
		best := busiest(pairs)
		asked := false
		for q := range pairs {
			if q.client == best || q.server == best {
				asked = asked || q.server == best
				delete(pairs, q)
			}
		}
		if asked {
			servers[best] = true
		}
	}
	return servers, err
}

// busiest returns the address that has a part in most pairs, of several the one
// that is asked by most.
func busiest(pairs map[pair]bool) (best netip.Addr) {
	type share struct{ all, asked int }
	count := make(map[netip.Addr]share)
	for q := range pairs {
		c, s := count[q.client], count[q.server]
		c.all++
		count[q.client] = c
		s = count[q.server]
		s.all, s.asked = s.all+1, s.asked+1
		count[q.server] = s
	}
	for a, n := range count {
		b := count[best]
		if n.all > b.all || n.all == b.all && (n.asked > b.asked || n.asked == b.asked && a.Less(best)) {
			best = a
		}
	}
	return best
}

// isRequest tells whether a datagram to port 123 asks for time.
func isRequest(b []byte) bool {
	if len(b) < ntp.HeaderLen {
		return false
	}
	v := ntp.VersionOf(b)
	switch ntp.ModeOf(b) {
	case ntp.ModeClient, ntp.ModeSymmetricActive:
		return v >= 1 && v <= 4
	case ntp.ModeReserved:
		return v == 1
	}
	return false
}
