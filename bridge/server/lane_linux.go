package server

import (
	"time"

	"ntsbridge/autokey"
	"ntsbridge/bridge/fleet/feed"
	"ntsbridge/bridge/server/mmsg"
)

// lane answers requests one after the other, away from the workers. Its memory
// is fixed.
type lane struct {
	srv   *shared
	queue *fairQueue[*slowRequest]
	done  chan struct{}
	count counters
	feed  *feed.Feed // to the inventory of clients, nil: off
}

// slowRequest is a copy of a request; the batch it came in is used again.
type slowRequest struct {
	socket  *socket
	name    mmsg.Name
	nameLen uint32
	slot    slot
	packet  [maxPacket]byte
	answer  [maxPacket]byte
	control [controlLen]byte
	arrived int64 // when it was copied, nanoseconds of shared.mono
}

func newLane(srv *shared, depth int, room [classCount]int) lane {
	memory := make([]*slowRequest, depth+1) // one more is being worked on
	for i := range memory {
		memory[i] = &slowRequest{slot: slot{autokey: new(autokey.Session)}}
	}
	return lane{srv: srv, feed: srv.clients.attach(), queue: newFairQueue(memory, room), done: make(chan struct{})}
}

// work answers by answer until the queue is closed.
func (l *lane) work(h handler, answer func(*handler, *slowRequest)) {
	defer l.srv.clients.detach(l.feed)
	for {
		r, ok := l.queue.take()
		if !ok {
			return
		}
		h.state, h.clock = l.srv.state.Load(), l.srv.clock.Load()
		h.mono = l.srv.mono(time.Now())
		answer(&h, r)
		r.socket = nil
		l.queue.done(r)
	}
}

// end lets the lane answer what it is working on, and waits until it is done.
func (l *lane) end() {
	l.queue.close()
	<-l.done
}

// fill copies a request.
func (r *slowRequest) fill(s *socket, from *slot, name *mmsg.Name, nameLen uint32, mono int64) {
	r.socket, r.name, r.nameLen, r.arrived = s, *name, nameLen, mono
	r.slot.req, r.slot.verdict = from.req, from.verdict
	r.slot.ifindex = from.ifindex
	r.slot.req.Packet = r.packet[:copy(r.packet[:], from.req.Packet)]
}
