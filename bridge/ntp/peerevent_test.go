package ntp

import "testing"

// The counts are those that a classic ntpd 4.2.8p15 showed of the same events.
func TestPeerEvents(t *testing.T) {
	var p PeerEvents
	if e, n := p.Last(); e != 0 || n != 0 {
		t.Errorf("%v %d of none", e, n)
	}
	for i, step := range []struct {
		event PeerEvent
		count uint8
	}{
		{PeerMobilized, 1}, {PeerReachable, 1}, {PeerSystemPeer, 1}, {PeerUnreachable, 1}, {PeerReachable, 1}, {PeerBadAuth, 1},
		{PeerBadAuth, 2}, {PeerBadAuth, 3}, {PeerSystemPeer, 1},
	} {
		p.Record(step.event)
		if e, n := p.Last(); e != step.event || n != step.count {
			t.Errorf("%d: %v %d, want %v %d", i, e, n, step.event, step.count)
		}
	}
	for range 20 {
		p.Record(PeerBadAuth)
	}
	if e, n := p.Last(); e != PeerBadAuth || n != 15 {
		t.Errorf("%v %d of many", e, n)
	}
	if PeerBadAuth.String() != "bad_auth" || PeerEvent(77).String() != "event 77" {
		t.Error("words")
	}
}
