package inventory

// admit returns a place for a new client of a rank, 0 if there is none for it.
func (v *Inventory) admit(hash uint64, rank Rank, now uint32) uint32 {
	tight := v.clients.used() >= v.opt.Capacity-v.opt.Capacity/4
	if tight && rank == Stranger && !v.filter.seen(hash) {
		v.full.Probation++
		return 0
	}
	if !tight {
		v.filter.seen(hash) // should it have to go, it is known when it comes back
	}
	if ref, c := v.clients.take(); c != nil {
		return ref
	}
	if !v.makeRoom(rank, now) {
		v.full.Strangers++
		return 0
	}
	ref, _ := v.clients.take()
	return ref
}

// searchSteps is how many places are looked at for somebody to forget, and
// candidates how many of those there are are compared.
const (
	searchSteps = 4096
	candidates  = 8
)

// makeRoom forgets a client for one of a rank. Strangers give way to everybody,
// others only to who ranks at least as high.
func (v *Inventory) makeRoom(rank Rank, now uint32) bool {
	lowest := Stranger
	for v.ranks[lowest] == 0 {
		lowest++
	}
	if lowest > rank {
		return false
	}
	if ref := v.victim(lowest, v.victimSteps(lowest)); ref != 0 {
		v.forget(ref, now)
		return true
	}
	return false
}

// victimSteps lets a search among few strangers end soon if only a stranger
// waits for the room; above that rank a place is found for certain.
func (v *Inventory) victimSteps(lowest Rank) int {
	if lowest == Stranger && v.ranks[Stranger] > v.opt.Capacity/1024 {
		return min(searchSteps, v.clients.fresh)
	}
	return v.clients.fresh
}

// victim returns the client of a rank that was silent for the longest time,
// among some.
func (v *Inventory) victim(rank Rank, steps int) (found uint32) {
	n := 0
	for ; steps > 0 && n < candidates; steps-- {
		v.hand = v.hand%v.clients.fresh + 1
		c := v.clients.at(uint32(v.hand))
		if c.flags&flagUsed == 0 || c.rank != rank {
			continue
		}
		if n++; found == 0 || c.last < v.clients.at(found).last {
			found = uint32(v.hand)
		}
	}
	return found
}

// forget takes a client out of the table for want of room.
func (v *Inventory) forget(ref uint32, now uint32) {
	if v.clients.at(ref).rank == Stranger {
		v.full.Strangers++
	} else {
		v.full.Forgotten++
		v.full.LastForgotten = now
	}
	v.remove(ref)
}

// forgetForMeans forgets a client of the lowest rank, but not keep, whose means
// are wanted.
func (v *Inventory) forgetForMeans(keep uint32, now uint32) {
	for rank := Stranger; rank < rankCount; rank++ {
		for range min(v.ranks[rank], 2*candidates) {
			if ref := v.victim(rank, v.clients.fresh); ref != 0 && ref != keep && v.clients.at(ref).means != 0 {
				v.forget(ref, now)
				return
			}
		}
	}
}

// remove takes a client out with all that belongs to it.
func (v *Inventory) remove(ref uint32) {
	c := v.clients.at(ref)
	v.unlink(ref)
	for r := c.means; r != 0; {
		next := v.means.at(r).next
		v.means.give(r)
		r = next
	}
	if c.crowd != 0 {
		v.crowds.give(c.crowd)
	}
	v.ranks[c.rank]--
	v.gone = append(v.gone, c.key())
	c.flags = 0
	v.clients.give(ref)
}

// Expire takes out the clients that were last seen before a time, seconds since
// 1970, and returns how many.
func (v *Inventory) Expire(before uint32) (n int) {
	for i := range v.clients.fresh {
		c := v.clients.at(uint32(i + 1))
		if c.flags&flagUsed != 0 && c.last < before {
			v.remove(uint32(i + 1))
			n++
		}
	}
	return n
}
