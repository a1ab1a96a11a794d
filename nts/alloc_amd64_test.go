//go:build !purego

package nts_test

import (
	"testing"

	"ntsbridge/bridge/ntp"
	"ntsbridge/nts"
)

// TestServingDoesNotAllocate is about the assembly of nts/aead; crypto/aes,
// which stands in for it elsewhere, allocates.
func TestServingDoesNotAllocate(t *testing.T) {
	ring := testRing(t, start)
	resp := make([]byte, 2048)
	for _, id := range allAEADs {
		s, sess := newServer(t, ring, allAEADs...), nts.NewSession(seed(1))
		for _, lost := range []int{0, 3} {
			c := newClient(t, ring, id, nts.MaxCookies)
			for range lost {
				makeRequest(t, c)
			}
			good := classify(makeRequest(t, c))
			forged := classify(append([]byte(nil), good.Packet...))
			forged.Packet[60] ^= 1
			for name, req := range map[string]*ntp.Request{"good": good, "forged": forged} {
				if n := testing.AllocsPerRun(100, func() {
					if serveOne(s, sess, req, resp) == 0 {
						t.Fatal("no answer")
					}
				}); n != 0 {
					t.Errorf("%v, %s, %d lost: %v allocations", id, name, lost, n)
				}
			}
		}
	}
}
