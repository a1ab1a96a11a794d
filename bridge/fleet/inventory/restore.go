package inventory

// Changes gives each row that changed since the last call, with its record,
// and the keys of rows that were taken out. The record's memory is used again.
func (v *Inventory) Changes(changed func(Key, []byte), gone func(Key)) {
	for _, k := range v.gone {
		gone(k)
	}
	v.gone = v.gone[:0]
	var buf []byte
	for _, ref := range v.dirty {
		c := v.clients.at(ref)
		if c.flags&flagUsed == 0 || c.flags&flagDirty == 0 {
			continue
		}
		c.flags &^= flagDirty
		buf = v.encode(buf[:0], c)
		changed(c.key(), buf)
	}
	v.dirty = v.dirty[:0]
}

// Touch counts every row as changed.
func (v *Inventory) Touch() {
	for i := range v.clients.fresh {
		if c := v.clients.at(uint32(i + 1)); c.flags&flagUsed != 0 {
			v.touch(uint32(i+1), c)
		}
	}
}

// Record appends the record of a row as it is now.
func (v *Inventory) Record(key Key, dst []byte) (record []byte, ok bool) {
	addr := [16]byte(key[:16])
	ref := v.find(&addr, key[16], v.index.hash(&addr, key[16]))
	if ref == 0 {
		return dst, false
	}
	return v.encode(dst, v.clients.at(ref)), true
}

// Restore puts a stored record into the table; a row that is there already is
// replaced. It is not counted as changed. full tells that there was no room.
func (v *Inventory) Restore(key Key, record []byte) (full bool, err error) {
	d, err := decode(key, record)
	if err != nil {
		return false, err
	}
	c := &d.client
	h := v.index.hash(&c.addr, c.bits)
	if ref := v.find(&c.addr, c.bits, h); ref != 0 {
		v.drop(ref)
	}
	return !v.insert(&d, h), nil
}

// Drop takes a row out that the store says is gone.
func (v *Inventory) Drop(key Key) {
	addr := [16]byte(key[:16])
	if ref := v.find(&addr, key[16], v.index.hash(&addr, key[16])); ref != 0 {
		v.drop(ref)
	}
}

func (v *Inventory) drop(ref uint32) {
	v.remove(ref)
	v.gone = v.gone[:len(v.gone)-1]
}

func (v *Inventory) insert(d *decoded, h uint64) bool {
	ref, c := v.clients.take()
	if c == nil && v.makeRoom(d.client.rank, d.client.last) {
		ref, c = v.clients.take()
	}
	if c == nil {
		if d.client.rank > Stranger {
			v.full.Forgotten++
			v.full.LastForgotten = max(v.full.LastForgotten, d.client.last)
		} else {
			v.full.Strangers++
		}
		return false
	}
	*c = d.client
	c.means, c.crowd = 0, 0
	c.flags &^= flagDirty
	c.host, _ = v.names.number(d.host)
	c.group, _ = v.names.number(d.group)
	v.ranks[c.rank]++
	v.link(ref, h)
	for i := len(d.means) - 1; i >= 0; i-- {
		at, m := v.means.take()
		if m == nil {
			v.full.dropped(&d.means[i], d.client.last)
			continue
		}
		*m = d.means[i]
		m.client, m.next = ref, c.means
		c.means = at
	}
	if d.crowd != nil {
		if at, m := v.crowds.take(); m != nil {
			*m, c.crowd = *d.crowd, at
		}
	}
	return true
}
