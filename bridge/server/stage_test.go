package server

import (
	"fmt"
	"net/netip"
	"testing"

	"ntsbridge/bridge/access"
	"ntsbridge/bridge/ntp"
)

// overlaid puts steps over the rules of a rig.
func (r *rig) overlaid(v *access.Overlay) {
	var o access.Overlays
	o.Set(netip.PrefixFrom(testClient.Addr(), 32), v)
	next := *r.handler.state
	next.Access = next.Access.With(&o)
	r.handler.state = &next
}

// A step refuses the means that it is about by silence, and nothing else: keys
// of other steps, and NTS, are answered. A request whose MAC is wrong is told
// so as before.
func TestStageRefuses(t *testing.T) {
	r := newRig(t)
	none, key1, autokey := &access.Step{ID: 7}, &access.Step{ID: 8}, &access.Step{ID: 9}
	r.overlaid(&access.Overlay{None: none, Autokey: autokey, Keys: []access.KeyStep{{Key: 1, Step: key1}}})
	want := map[string]*access.Step{"none": none, "MD5": key1, "autokey": autokey, "autokey message": autokey}
	for name, packet := range r.requests {
		var s slot
		if err := s.init(); err != nil {
			t.Fatal(err)
		}
		s.req = ntp.Request{Packet: packet, From: testClient, To: testServer, Received: systemTime()}
		r.handler.open(&s)
		step := want[name]
		switch {
		case step == nil && s.verdict.Reason != ntp.ReasonOK:
			t.Errorf("%s: %v", name, s.verdict.Reason)
		case step != nil && (s.verdict.Action != ntp.Drop || s.verdict.Reason != ntp.ReasonStage || s.verdict.Step != step.ID):
			t.Errorf("%s: %+v, want silence by step %d", name, s.verdict, step.ID)
		}
	}
	if none.Refused() != 1 || key1.Refused() != 1 || autokey.Refused() != 2 {
		t.Errorf("refused %d, %d, %d", none.Refused(), key1.Refused(), autokey.Refused())
	}
	bad := append([]byte(nil), r.requests["MD5"]...)
	bad[len(bad)-1] ^= 1
	if v := r.judge(t, bad); v.Reason != ntp.ReasonBadMAC {
		t.Errorf("a forged MAC: %+v", v)
	}
}

// What a rule denies stays denied by the rule, and DENY goes out in the last
// stage alone.
func TestStageNeverAllows(t *testing.T) {
	r := newRig(t)
	rules := []access.Rule{{Prefix: netip.PrefixFrom(testClient.Addr(), 32), Action: access.Allow, Kinds: access.KindsOf(ntp.KindNTS)}}
	table, err := access.NewTable(rules)
	if err != nil {
		t.Fatal(err)
	}
	r.handler.state.Access = table
	r.overlaid(&access.Overlay{Keys: []access.KeyStep{{Key: 1, Step: nil}}, Symmetric: &access.Step{ID: 3, Deny: true}})
	for name := range map[string]bool{"none": true, "MD5": true, "SHA1": true} {
		if v := r.judge(t, r.requests[name]); v.Reason != ntp.ReasonAuthRequired {
			t.Errorf("%s: %+v", name, v)
		}
	}
	r.handler.state.Access, _ = access.NewTable([]access.Rule{{Prefix: rules[0].Prefix, Action: access.Allow, Kinds: access.AllKinds}})
	r.overlaid(&access.Overlay{Symmetric: &access.Step{ID: 3, Deny: true}})
	if v := r.judge(t, r.requests["MD5"]); v.Action != ntp.KissDeny || v.Reason != ntp.ReasonStage {
		t.Errorf("removed with deny: %+v", v)
	}
}

func (r *rig) judge(t *testing.T, packet []byte) ntp.Verdict {
	t.Helper()
	var s slot
	if err := s.init(); err != nil {
		t.Fatal(err)
	}
	s.req = ntp.Request{Packet: packet, From: testClient, To: testServer, Received: systemTime()}
	r.handler.open(&s)
	return s.verdict
}

func TestStageDoesNotAllocate(t *testing.T) {
	r := newRig(t)
	r.overlaid(&access.Overlay{None: &access.Step{ID: 7}, Keys: []access.KeyStep{{Key: 1, Step: &access.Step{ID: 8}}}})
	for _, name := range []string{"none", "MD5", "SHA1"} {
		var s slot
		if err := s.init(); err != nil {
			t.Fatal(err)
		}
		s.req = ntp.Request{Packet: r.requests[name], From: testClient, To: testServer, Received: systemTime()}
		if n := testing.AllocsPerRun(100, func() { r.handler.open(&s) }); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

// BenchmarkStage is what a request costs under a plan of ten thousand prefixes,
// of which one refuses another means of this client, beside one without a plan.
func BenchmarkStage(b *testing.B) {
	for _, name := range []string{"none", "MD5", "AES128CMAC"} {
		for _, staged := range []bool{false, true} {
			b.Run(fmt.Sprintf("%s/staged=%v", name, staged), func(b *testing.B) {
				r := newRig(b)
				if staged {
					var o access.Overlays
					for i := range 10_000 {
						group := netip.AddrFrom4([4]byte{10, byte(i >> 8), byte(i), 0})
						o.Set(netip.PrefixFrom(group, 24), &access.Overlay{None: &access.Step{ID: 1}})
					}
					o.Set(netip.PrefixFrom(testClient.Addr(), 32), &access.Overlay{Autokey: &access.Step{ID: 2}})
					next := *r.handler.state
					next.Access = next.Access.With(&o)
					r.handler.state = &next
				}
				s, resp := newSlot(b), make([]byte, maxPacket)
				b.ReportAllocs()
				for b.Loop() {
					if r.serve(s, r.requests[name], resp) == 0 {
						b.Fatal("no answer")
					}
				}
			})
		}
	}
}
