package fastpath

import (
	"encoding/binary"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cilium/ebpf"

	"ntsbridge/bridge/fleet/feed"
	"ntsbridge/bridge/ntp"
)

// clientReading is how far the clients' table was read.
type clientReading struct {
	mu      sync.Mutex
	noted   [2]uint64
	unnoted uint64
	keys    []objectClientKey
	values  []objectClient
}

// clientBatch is how many clients one system call reads.
const clientBatch = 1024

// settled is how long a program that runs may still write under the last epoch.
const settled = 100 * time.Microsecond

// Clients tells whom the program answered since the last call: one sighting a
// client, the last of what it sent with the number of all. It returns how many
// clients were lost, since others took their places.
func (e *Engine) Clients(see func(*feed.Sighting)) (lost uint64) {
	r := &e.reading
	r.mu.Lock()
	defer r.mu.Unlock()
	epoch := atomic.LoadUint32(&e.standing.Epoch)
	counts := e.Counts()
	if epoch == 0 || counts.noted == r.noted && counts.unnoted == r.unnoted {
		return 0
	}
	next := epoch + 1
	if next == 0 {
		next = 2 // another half than the last one
	}
	atomic.StoreUint32(&e.standing.Epoch, next)
	time.Sleep(settled)
	counts = e.Counts()
	if r.keys == nil {
		r.keys, r.values = make([]objectClientKey, clientBatch), make([]objectClient, clientBatch)
	}
	var seen uint64
	var cursor ebpf.MapBatchCursor
	for {
		n, err := e.objects.Maps[objectMapClients].BatchLookup(&cursor, r.keys, r.values, nil)
		for i := range n {
			half := &r.values[i].Halves[epoch&1]
			if half.Epoch != epoch || half.Count == 0 {
				continue
			}
			s := sightingOf(&r.keys[i], half)
			see(&s)
			seen++
		}
		if err != nil {
			if !errors.Is(err, ebpf.ErrKeyNotExist) {
				e.options.Log.Error("clients that were answered in the kernel cannot be read", "error", err)
			}
			break
		}
	}
	fresh := counts.noted[epoch&1] - r.noted[epoch&1]
	lost = fresh - min(seen, fresh) + counts.unnoted - r.unnoted
	r.noted[epoch&1], r.unnoted = counts.noted[epoch&1], counts.unnoted
	return lost
}

func sightingOf(key *objectClientKey, c *objectSighting) feed.Sighting {
	s := feed.Sighting{Received: ntp.Timestamp(c.Received), Sent: ntp.Timestamp(c.Sent), Count: c.Count,
		Octets: ntp.HeaderLen + uint16(c.Tail), Port: c.Port, Reason: ntp.ReasonOK, Action: ntp.Answer, TOS: c.Tos, KnownTOS: true}
	if key.Key != 0 {
		s.Kind, s.Key, s.MAC = ntp.KindSymmetric, key.Key, c.Tail-4
	}
	for i, w := range key.Addr {
		binary.NativeEndian.PutUint32(s.Addr[4*i:], w)
	}
	for i, w := range c.Header {
		binary.NativeEndian.PutUint32(s.Header[4*i:], w)
	}
	return s
}
