package autokey

import (
	"bytes"
	"net/netip"
	"strings"
	"testing"

	"ntsbridge/bridge/ntp"
)

// TestPacketVectors checks session key and MAC of each packet of recorded
// sessions, and which cookie it uses.
func TestPacketVectors(t *testing.T) {
	var file struct {
		Sessions []struct {
			Session, Digest string
			Packets         []struct {
				Src, Dst, KeyID, Cookie string
				SessionKey              string `json:"session_key"`
				MAC                     string
				EFs                     []string
				Len                     int
			}
		}
	}
	readVectors(t, "packets", &file)
	recorded := sessions(t)
	macs := 0
	for _, s := range file.Sessions {
		scratch := NewScratch(vectorDigests[s.Digest])
		for i, v := range s.Packets {
			src, _ := netip.AddrFromSlice(unhex(t, v.Src))
			dst, _ := netip.AddrFromSlice(unhex(t, v.Dst))
			cookie := unhex32(t, v.Cookie)
			key := bytes.Clone(scratch.SessionKey(src, dst, unhex32(t, v.KeyID), cookie))
			if !bytes.Equal(key, unhex(t, v.SessionKey)) {
				t.Errorf("%s packet %d: session key %x", s.Session, i, key)
			}
			if len(v.EFs) > 0 && cookie != 0 {
				t.Errorf("%s packet %d: cookie with an extension field", s.Session, i)
			}
			p, ok := findPacket(recorded[s.Session], unhex(t, v.MAC))
			if !ok {
				continue
			}
			macs++
			l := ntp.Classify(p.data, autokeyOnly{})
			if l.Kind != ntp.KindAutokey || int(l.Fields) != len(v.EFs) || len(p.data) != v.Len || !scratch.verifyMAC(key,
				p.data[:l.MAC], p.data[l.MAC+4:]) {
				t.Errorf("%s packet %d: layout %+v, or wrong MAC", s.Session, i, l)
			}
			if m, ok := p.message(); ok && m.Code.Op().String() != strings.TrimSuffix(v.EFs[0], "-R") {
				t.Errorf("%s packet %d: message %v, want %v", s.Session, i, m.Code.Op(), v.EFs)
			}
		}
	}
	if len(file.Sessions) != 24 || macs < 300 {
		t.Errorf("%d sessions, %d MACs", len(file.Sessions), macs)
	}
}

// findPacket finds the recorded packet with a MAC.
func findPacket(s *session, mac []byte) (packet, bool) {
	if s == nil {
		return packet{}, false
	}
	for _, p := range s.packets {
		if bytes.HasSuffix(p.data, mac) {
			return p, true
		}
	}
	return packet{}, false
}
