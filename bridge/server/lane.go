package server

import (
	"slices"
	"sync"
)

// class is what a request of the slow lane is for. Each class has its own room
// and its turn, so that a flood of one leaves the others alone.
type class uint8

const (
	classLocal   class = iota // mode 6 from this host
	classQuery                // mode 6 from elsewhere
	classMessage              // Autokey before the first signatures: ASSOC, CERT, LEAP
	classCookie               // Autokey's COOK
	classProof                // Autokey's SIGN, IFF, GQ and MV
	classCount   = iota
)

// classRoom is how many requests of a class may wait. At the usual budget they
// are worked off within a second.
var classRoom = [classCount]int{classLocal: 16, classQuery: 32, classMessage: 32, classCookie: 32, classProof: 32}

// signRoom is the same of the queue for Samba's signatures, which knows one class.
var signRoom = [classCount]int{classMessage: signingDepth}

// clientRoom is how many requests of one client may wait in a class.
const clientRoom = 2

// laneDepth is how many requests may wait in all for the slow lane, and
// signingDepth for signatures of Samba, which takes about a millisecond each.
const (
	laneDepth    = 16 + 4*32
	signingDepth = 64
)

// fairQueue holds what waits for the slow lane. T is a request's memory, of
// which there is a fixed number.
type fairQueue[T any] struct {
	mu      sync.Mutex
	free    []T
	waiting [classCount][]waiter[T] // in the order of arrival
	turn    int
	closed  bool
	room    [classCount]int
	wake    chan struct{} // has room for one
}

// waiter is a request in the queue.
type waiter[T any] struct {
	request T
	client  uint64 // whose it is
	known   bool   // a client that proved lately to be one
}

func newFairQueue[T any](memory []T, room [classCount]int) *fairQueue[T] {
	return &fairQueue[T]{free: memory, room: room, wake: make(chan struct{}, 1)}
}

// offer gives a request a place, for which fill copies it. In a full class a
// client that is not known makes room for one that is, and the one with the
// most waiting requests for one that has fewer. It reports whether the request
// got in.
func (q *fairQueue[T]) offer(c class, client uint64, known bool, fill func(T)) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	own := 0
	for _, w := range q.waiting[c] {
		if w.client == client {
			own++
		}
	}
	if q.closed || c != classLocal && own >= clientRoom {
		return false
	}
	if len(q.waiting[c]) >= q.room[c] {
		i := q.victim(c, own, known)
		if i < 0 {
			return false
		}
		q.remove(c, i)
	}
	last := len(q.free) - 1 // room is never more than there is memory
	request := q.free[last]
	q.free = q.free[:last]
	fill(request)
	q.waiting[c] = append(q.waiting[c], waiter[T]{request, client, known})
	select {
	case q.wake <- struct{}{}:
	default:
	}
	return true
}

// victim returns which request makes room for one of a client with so many of
// its own, -1 for none: the newest of those that count least.
func (q *fairQueue[T]) victim(c class, own int, known bool) int {
	of := make(map[uint64]int, clientRoom)
	for _, w := range q.waiting[c] {
		of[w.client]++
	}
	for i, w := range slices.Backward(q.waiting[c]) {
		if known && !w.known || known == w.known && of[w.client] > own+1 {
			return i
		}
	}
	return -1
}

// remove gives back the memory of a waiting request.
func (q *fairQueue[T]) remove(c class, i int) {
	q.free = append(q.free, q.waiting[c][i].request)
	q.waiting[c] = slices.Delete(q.waiting[c], i, i+1)
}

// take waits for the request whose turn it is; ok is false once the queue is
// closed. Classes take turns, and in a class known clients come first but for
// every fourth time.
func (q *fairQueue[T]) take() (request T, ok bool) {
	for {
		q.mu.Lock()
		if q.closed {
			q.mu.Unlock()
			return request, false
		}
		for range classCount {
			q.turn++
			if c := class(q.turn % classCount); len(q.waiting[c]) > 0 {
				i := 0
				if q.turn/classCount%4 != 0 {
					i = max(0, slices.IndexFunc(q.waiting[c], func(w waiter[T]) bool { return w.known }))
				}
				request = q.waiting[c][i].request
				q.waiting[c] = slices.Delete(q.waiting[c], i, i+1)
				q.mu.Unlock()
				return request, true
			}
		}
		q.mu.Unlock()
		<-q.wake
	}
}

// done gives back the memory of a request that take returned.
func (q *fairQueue[T]) done(request T) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.free = append(q.free, request)
}

// close makes take return, whatever waits.
func (q *fairQueue[T]) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	select {
	case q.wake <- struct{}{}:
	default:
	}
}
