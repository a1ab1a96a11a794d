package gate

import (
	"encoding/json"
	"fmt"
	"io"
	"net/netip"

	"ntsbridge/bridge/fleet/report"
)

// Elsewhere is when other gateways of the site answered clients last, seconds
// since 1970; of means that they do not answer now it has nothing.
type Elsewhere map[netip.Prefix]uint32

// elsewhereTime is for how long an answer of another gateway counts, seconds: the
// list of a gateway that is copied each hour may be late, and a gateway that
// stopped must not count for long.
const elsewhereTime = 6 * 3600

// Read adds what another gateway's `clients --json` tells.
func (e Elsewhere) Read(r io.Reader) error {
	d := json.NewDecoder(r)
	if t, err := d.Token(); err != nil || t != json.Delim('[') {
		return fmt.Errorf("this is no list of clients, as `ntsbridge clients --json` writes one")
	}
	for d.More() {
		var row report.Row
		if err := d.Decode(&row); err != nil {
			return fmt.Errorf("this is no list of clients, as `ntsbridge clients --json` writes one: %w", err)
		}
		p, ok := prefixOf(row.Address)
		if !ok {
			continue // a hash, which says nothing here
		}
		for i := range row.Means {
			if m := &row.Means[i]; m.Unanswered == 0 { // else a step refuses it there, perhaps
				e[p] = max(e[p], uint32(max(0, m.LastAnswered)))
			}
		}
	}
	if _, err := d.Token(); err != nil {
		return fmt.Errorf("the list of clients is not whole: %w", err)
	}
	return nil
}

func prefixOf(s string) (netip.Prefix, bool) {
	if a, err := netip.ParseAddr(s); err == nil {
		return netip.PrefixFrom(a.Unmap(), a.Unmap().BitLen()), true
	}
	p, err := netip.ParsePrefix(s)
	return p, err == nil
}

// Has tells whether another gateway answered a client lately.
func (e Elsewhere) Has(p netip.Prefix, now uint32) bool {
	last := e[p]
	return last > 0 && max(last, now)-min(last, now) <= elsewhereTime
}
