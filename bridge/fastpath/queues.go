package fastpath

import (
	"fmt"
	"unsafe"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"ntsbridge/bridge/fastpath/frames"
)

// ServeFrames answers what comes by a socket until stop is called, which closes
// it. partial says that senders on this machine may leave checksums to be done.
type ServeFrames func(s *frames.Socket, partial bool) (stop func(), err error)

// sockets are those of AF_XDP at all interfaces.
type sockets struct {
	serve ServeFrames // nil: they are only tried
	table *ebpf.Map
	in    [maxSockets]bool // of the table
}

// queues are those of an interface that have a socket of AF_XDP.
type queues struct {
	first uint32 // place in the table
	stops []func()
}

// open makes a socket for each queue of an interface. What it made when it
// failed is in q.
func (s *sockets) open(index int, name string, partial bool, q *queues) error {
	n := receiveQueues(name)
	first, ok := s.place(n)
	if !ok {
		return fmt.Errorf("it has %d queues, and there is room for %d of all interfaces", n, maxSockets)
	}
	q.first = uint32(first)
	for queue := range n {
		if err := s.openQueue(index, queue, partial, q); err != nil {
			return err
		}
	}
	return nil
}

func (s *sockets) openQueue(index, queue int, partial bool, q *queues) error {
	socket, err := frames.Open(index, queue)
	if err != nil {
		return err
	}
	if s.serve == nil {
		socket.Close()
		return nil
	}
	at := q.first + uint32(queue)
	if err := s.table.Put(at, uint32(socket.FD())); err != nil {
		socket.Close()
		return fmt.Errorf("AF_XDP: %w", err)
	}
	stop, err := s.serve(socket, partial)
	if err != nil {
		socket.Close()
		return err
	}
	s.in[at] = true
	q.stops = append(q.stops, stop)
	return nil
}

// place finds n places in the table that lie together.
func (s *sockets) place(n int) (first int, ok bool) {
	free := 0
	for i := range s.in {
		if free++; s.in[i] {
			free = 0
		}
		if free == n {
			return i + 1 - n, true
		}
	}
	return 0, false
}

// close ends what open began, when nothing comes any more.
func (s *sockets) close(q *queues) {
	for i, stop := range q.stops {
		at := q.first + uint32(i)
		_ = s.table.Delete(at)
		stop()
		s.in[at] = false
	}
	q.stops = nil
}

// receiveQueues is how many queues an interface receives by (ethtool -l).
func receiveQueues(name string) int {
	info := struct {
		command                             uint32
		maxRX, maxTX, maxOther, maxCombined uint32
		rx, tx, other, combined             uint32
	}{command: unix.ETHTOOL_GCHANNELS}
	if ethtool(name, unsafe.Pointer(&info)) != nil {
		return 1
	}
	return max(1, int(info.rx+info.combined))
}
