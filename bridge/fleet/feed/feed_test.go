package feed

import (
	"encoding/binary"
	"net/netip"
	"sync/atomic"
	"testing"

	"pgregory.net/rapid"

	"ntsbridge/bridge/ntp"
)

var seed = [2]uint64{0x0123456789abcdef, 0xfedcba9876543211}

// request is a request of client n with a key.
func request(n uint32, key uint32, transmit uint64) *ntp.Request {
	var a [4]byte
	binary.BigEndian.PutUint32(a[:], 10<<24|n)
	p := make([]byte, ntp.HeaderLen, ntp.HeaderLen+20)
	p[0] = 4<<3 | byte(ntp.ModeClient)
	binary.BigEndian.PutUint64(p[40:], transmit)
	r := &ntp.Request{Packet: p, From: netip.AddrPortFrom(netip.AddrFrom4(a), 123), Received: ntp.Timestamp(transmit)}
	r.Layout.MAC, r.Layout.KeyID = len(p), key
	return r
}

func verdictOf(kind ntp.Kind, reason ntp.Reason) *ntp.Verdict {
	v := &ntp.Verdict{Kind: kind, Reason: reason, Action: ntp.Answer}
	if reason != ntp.ReasonOK {
		v.Action = ntp.Drop
	}
	return v
}

// Whatever the batches and readings, what comes out is what went in: by client,
// means and outcome the same number of packets, and the last one told.
func TestFeedAgainstCounting(t *testing.T) {
	type group struct {
		addr   netip.Addr
		key    uint32
		kind   ntp.Kind
		reason ntp.Reason
	}
	rapid.Check(t, func(t *rapid.T) {
		wake := make(chan struct{}, 1)
		f := New(rapid.IntRange(MinSize, 256).Draw(t, "size"), seed, wake)
		in, out := map[group]uint32{}, map[group]uint32{}
		lastIn, lastOut := map[group]ntp.Timestamp{}, map[group]ntp.Timestamp{}
		var noted, told, lost uint64
		drain := func() {
			l, ok := f.Drain(func(s *Sighting) {
				g := group{s.Address(), s.Key, s.Kind, s.Reason}
				out[g] += s.Count
				lastOut[g] = s.Received
				told += uint64(s.Count)
			})
			if !ok {
				t.Fatal("an idle worker's table was not to be had")
			}
			lost += l.Strangers + l.Proved
		}
		clients := rapid.Uint32Range(1, 400).Draw(t, "clients")
		for range rapid.IntRange(1, 20).Draw(t, "batches") {
			table := f.Begin()
			for range rapid.IntRange(1, 60).Draw(t, "packets") {
				n := rapid.Uint32Range(0, clients).Draw(t, "client")
				kind := rapid.SampledFrom([]ntp.Kind{ntp.KindNone, ntp.KindSymmetric}).Draw(t, "kind")
				reason := rapid.SampledFrom([]ntp.Reason{ntp.ReasonOK, ntp.ReasonBadMAC}).Draw(t, "reason")
				noted++
				req := request(n, n%3, noted)
				g := group{req.From.Addr(), 0, kind, reason}
				if kind == ntp.KindSymmetric {
					g.key = n % 3
				}
				before := table.lost
				table.Note(req, verdictOf(kind, reason), 0, 0)
				if table.lost == before {
					in[g]++
					lastIn[g] = ntp.Timestamp(noted)
				}
			}
			f.End(table)
			if rapid.Bool().Draw(t, "read") {
				drain()
			}
		}
		drain()
		if told+lost != noted {
			t.Fatalf("%d told and %d lost of %d", told, lost, noted)
		}
		for g, n := range in {
			if out[g] != n || lastOut[g] != lastIn[g] {
				t.Fatalf("%v: %d packets, last %d; want %d, %d", g, out[g], lastOut[g], n, lastIn[g])
			}
		}
		if len(in) != len(out) {
			t.Fatalf("%d groups of %d", len(out), len(in))
		}
	})
}

// A worker that never rests gives its tables all the same, and nothing is lost
// or told twice.
func TestFeedConcurrently(t *testing.T) {
	const packets = 400_000
	wake := make(chan struct{}, 1)
	f := New(1024, seed, wake)
	var done atomic.Bool
	go func() {
		defer done.Store(true)
		v := verdictOf(ntp.KindNone, ntp.ReasonOK)
		for n := uint32(0); n < packets; {
			table := f.Begin()
			for range 32 {
				table.Note(request(n%777, 0, uint64(n)), v, 0, 0)
				n++
			}
			f.End(table)
		}
	}()
	var told, lost uint64
	drain := func() {
		l, _ := f.Drain(func(s *Sighting) { told += uint64(s.Count) })
		lost += l.Strangers + l.Proved
	}
	for !done.Load() {
		drain()
	}
	drain()
	drain()
	if told+lost != packets {
		t.Errorf("%d told and %d lost of %d", told, lost, packets)
	}
}

// Strangers without end leave room for those that proved who they are, and
// wake the collector.
func TestStrangersDoNotCrowdOut(t *testing.T) {
	wake := make(chan struct{}, 1)
	f := New(800, seed, wake)
	table := f.Begin()
	for n := range uint32(5000) {
		table.Note(request(n, 0, 1), verdictOf(ntp.KindNone, ntp.ReasonOK), 0, 0)
	}
	for n := range uint32(100) {
		table.Note(request(n, 7, 1), verdictOf(ntp.KindSymmetric, ntp.ReasonOK), 0, 0)
	}
	f.End(table)
	if len(wake) != 1 {
		t.Error("the collector was not woken")
	}
	proved := 0
	lost, _ := f.Drain(func(s *Sighting) {
		if s.Proved() {
			proved++
		}
	})
	if proved != 100 || lost.Proved != 0 || lost.Strangers != 4300 {
		t.Errorf("%d proved clients, lost %+v; want 100 and 4300 strangers", proved, lost)
	}
}

func TestNoteDoesNotAllocate(t *testing.T) {
	f := New(MaxSize, seed, make(chan struct{}, 1))
	req, v := request(1, 0, 1), verdictOf(ntp.KindNone, ntp.ReasonOK)
	if n := testing.AllocsPerRun(1000, func() {
		table := f.Begin()
		table.Note(req, v, 1, 0)
		f.End(table)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkNote(b *testing.B) {
	for name, clients := range map[string]uint32{"32 clients": 32, "4000 clients": 4000} {
		b.Run(name, func(b *testing.B) {
			f := New(8192, seed, make(chan struct{}, 1))
			requests := make([]*ntp.Request, clients)
			for i := range requests {
				requests[i] = request(uint32(i), 0, 1)
			}
			v := verdictOf(ntp.KindNone, ntp.ReasonOK)
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				if i%(1<<16) == 0 {
					f.Drain(func(*Sighting) {})
				}
				table := f.Begin()
				table.Note(requests[uint32(i)%clients], v, 1, 0)
				f.End(table)
			}
		})
	}
}
