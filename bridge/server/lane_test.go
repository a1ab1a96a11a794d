package server

import (
	"testing"
	"time"

	"ntsbridge/autokey"
	"ntsbridge/bridge/access"
	"ntsbridge/bridge/ntp"
)

// work is what a test puts into the queue.
type work struct {
	class  class
	client uint64
}

func newTestQueue() *fairQueue[*work] {
	memory := make([]*work, laneDepth+1)
	for i := range memory {
		memory[i] = new(work)
	}
	return newFairQueue(memory, classRoom)
}

func put(q *fairQueue[*work], c class, client uint64, known bool) bool {
	return q.offer(c, client, known, func(w *work) { *w = work{c, client} })
}

// One client floods two classes: it gets two places in each, and others get in
// and are served with it.
func TestLaneIsFair(t *testing.T) {
	q := newTestQueue()
	for range 10000 {
		put(q, classMessage, 1, false)
		put(q, classQuery, 1, false)
	}
	for _, w := range []work{{classQuery, 2}, {classLocal, 3}, {classCookie, 4}, {classMessage, 5}, {classProof, 6}} {
		if !put(q, w.class, w.client, false) {
			t.Fatalf("%+v does not get in", w)
		}
	}
	seen := make(map[uint64]bool)
	for range 9 {
		w, ok := q.take()
		if !ok {
			t.Fatal("closed")
		}
		seen[w.client] = true
		q.done(w)
	}
	for client := uint64(2); client <= 6; client++ {
		if !seen[client] {
			t.Errorf("client %d was not served", client)
		}
	}
}

// Many addresses fill every class; a client that proved itself still gets in
// and comes first, and all memory comes back.
func TestLaneKnowsItsClients(t *testing.T) {
	q := newTestQueue()
	for i := range uint64(10000) {
		for c := range class(classCount) {
			put(q, c, 1000+i, false)
		}
	}
	for c := range class(classCount) {
		if !put(q, c, uint64(c), true) {
			t.Fatalf("class %d: a known client does not get in", c)
		}
	}
	early := 0
	for i := 0; len(q.free) < laneDepth+1; i++ {
		w, _ := q.take()
		if w.client < classCount && i < 2*classCount {
			early++
		}
		q.done(w)
	}
	if early != classCount {
		t.Errorf("%d of %d known clients were served in the first two rounds", early, classCount)
	}
	q.close()
	if _, ok := q.take(); ok || put(q, classLocal, 1, false) {
		t.Error("closed, and still at work")
	}
}

// An operator's queries are never counted against one another.
func TestLocalQueriesWait(t *testing.T) {
	q := newTestQueue()
	for i := range classRoom[classLocal] {
		if !put(q, classLocal, 1, false) {
			t.Fatalf("query %d does not get in", i)
		}
	}
}

// Certificates are many times longer than what asks for them: what goes out
// beyond what came in is bounded over all addresses, and cookies go on when
// certificates wait.
func TestExcessIsBounded(t *testing.T) {
	pool, err := access.NewPool(access.Bucket{Rate: 65536, Burst: 65536})
	if err != nil {
		t.Fatal(err)
	}
	h := &handler{state: &State{Excess: pool}, proved: newProved(), count: new(counters)}
	affords := func(op autokey.Op, in, out int) bool {
		sess := &autokey.Session{Op: op}
		return h.affords(&slot{req: ntp.Request{Packet: make([]byte, in), From: testClient}, autokey: sess}, out)
	}
	certificates, associations, cookies := 0, 0, 0
	for second := range 10 {
		h.mono = int64(second) * int64(time.Second)
		for range 1000 {
			if affords(autokey.OpCert, 100, 900) {
				certificates += 800
			}
		}
		for range 3000 {
			if affords(autokey.OpAssoc, 100, 120) {
				associations += 20
			}
		}
		for range 20 {
			if !affords(autokey.OpCook, 200, 500) {
				t.Fatal("no room for a cookie")
			}
			cookies += 300
		}
	}
	if total := certificates + associations + cookies; total > 11*65536 || certificates+associations < 4*65536 {
		t.Errorf("%d octets in 10 s, %d of certificates, %d of associations", total, certificates, associations)
	}
	if !affords(autokey.OpAssoc, 100, 100) {
		t.Error("an answer that is not longer")
	}
	for affords(autokey.OpAssoc, 100, 120) {
	}
	if h.proved.note(testClient.Addr(), h.mono); !affords(autokey.OpAssoc, 100, 120) {
		t.Error("a client that got a cookie before is a stranger")
	}
}
