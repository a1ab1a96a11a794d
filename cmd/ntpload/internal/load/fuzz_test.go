//go:build linux

package load

import (
	"bytes"
	"testing"

	"ntsbridge/bridge/ntp"
	"ntsbridge/nts"
	"ntsbridge/nts/aead"
)

// FuzzMatch gives a source any packet as the answer to its requests: nothing
// panics, and only the answer that was made for a request verifies.
func FuzzMatch(f *testing.F) {
	id := aead.AES128GCMSIV
	keys, err := nts.NewKeys(id, bytes.Repeat([]byte{1}, id.KeyLen()), bytes.Repeat([]byte{2}, id.KeyLen()))
	if err != nil {
		f.Fatal(err)
	}
	s, err := newSession(&keys, [][]byte{bytes.Repeat([]byte{3}, 64)})
	if err != nil {
		f.Fatal(err)
	}
	maker := &NTS{id: id, sessions: []*session{s}}
	request, err := maker.Request(1 << 32)
	if err != nil {
		f.Fatal(err)
	}
	good := ntsAnswer(request, &s.s2c)
	f.Add(good)
	f.Add(request)
	f.Add(good[:ntp.HeaderLen])
	f.Add(good[:len(good)-4])
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, answer []byte) {
		src := &source{window: 1, outstanding: 1, slots: []slot{{request: request, transmit: 1 << 32, sent: 1, maker: maker}}}
		outcome, _ := src.match(answer, 2, true)
		covered := min(len(good), len(answer))
		if outcome == outcomeVerified && !bytes.Equal(answer[ntp.HeaderLen:covered], good[ntp.HeaderLen:]) {
			t.Errorf("verified %x", answer)
		}
		if (outcome == outcomeUnmatched || outcome == outcomeMalformed && len(answer) < ntp.HeaderLen) != (src.outstanding == 1) {
			t.Errorf("outcome %d left %d outstanding", outcome, src.outstanding)
		}
		_ = src.expire(3)
	})
}
