package nke

import (
	"net/netip"
	"testing"
	"time"
)

func TestRefusals(t *testing.T) {
	r := newRefusals()
	now := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	addr := func(i int) netip.Addr { return netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}) }
	many := func() bool { _, many := r.list(now); return many }
	for i := range 3 {
		if many() {
			t.Errorf("%d are many", i)
		}
		r.ended(addr(i), "", now)
		r.ended(addr(i), "bad certificate", now.Add(time.Second))
	}
	if list, many := r.list(now); !many || len(list) != 3 || list[0].Count != 2 || list[0].Alert != "bad certificate" {
		t.Errorf("%v %+v", many, list)
	}
	if n, ok := r.tell(now); n != 3 || !ok {
		t.Errorf("not told: %d", n)
	}
	if _, ok := r.tell(now.Add(time.Hour)); ok {
		t.Error("told twice")
	}
	// Where more agree, it is not the certificate.
	for i := range 4 {
		r.agreed(addr(100+i), now)
	}
	if many() {
		t.Error("fewer than agree are many")
	}
	// Who agrees refuses no more; what is long ago does not count.
	r.agreed(addr(0), now)
	if list, _ := r.list(now); len(list) != 2 {
		t.Errorf("%+v", list)
	}
	r.forget()
	for i := range 4 {
		r.ended(addr(i), "", now)
	}
	now = now.Add(3 * time.Hour)
	if many() {
		t.Error("many refused hours ago")
	}
	// Strangers cannot fill the memory.
	for i := range 3 * maxCompleted {
		r.ended(addr(i), "", now.Add(time.Duration(i)))
		r.agreed(addr(1<<20+i), now.Add(time.Duration(i)))
	}
	if len(r.clients) > maxRefusals || len(r.completed) > maxCompleted {
		t.Errorf("%d and %d are remembered", len(r.clients), len(r.completed))
	}
	if list, _ := r.list(now); list[0].From != addr(3*maxCompleted-1) {
		t.Errorf("the last one is %v", list[0].From)
	}
}
