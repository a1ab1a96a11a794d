package inventory

// Merge adds a record of another inventory, such as of a capture, to what is
// known of that client. It counts as changed.
func (v *Inventory) Merge(key Key, record []byte) (full bool, err error) {
	d, err := decode(key, record)
	if err != nil {
		return false, err
	}
	h := v.index.hash(&d.client.addr, d.client.bits)
	ref := v.find(&d.client.addr, d.client.bits, h)
	if ref == 0 {
		if !v.insert(&d, h) {
			return true, nil
		}
		ref = v.find(&d.client.addr, d.client.bits, h)
		v.touch(ref, v.clients.at(ref))
		return false, nil
	}
	c := v.clients.at(ref)
	v.mergeClient(c, &d)
	for i := range d.means {
		o := &d.means[i]
		if m := v.findMeans(c, o.kind, o.key); m != nil {
			m.merge(o)
			continue
		}
		m := v.addMeans(ref, c, o.last)
		next := m.next
		*m = *o
		m.client, m.next = ref, next
	}
	v.touch(ref, c)
	return false, nil
}

func (v *Inventory) mergeClient(c *client, d *decoded) {
	o := &d.client
	if o.last > c.last {
		c.refid, c.reference, c.leap, c.stratum = o.refid, o.reference, o.leap, o.stratum
	}
	c.first, c.last = min(c.first, o.first), max(c.last, o.last)
	c.handshakes, c.failures = add32(c.handshakes, o.handshakes), uint16(min(uint32(c.failures)+uint32(o.failures), 65535))
	if o.handshake > c.handshake {
		c.handshake, c.result, c.offered, c.sni = o.handshake, o.result, o.offered, o.sni
	}
	if d.host != "" && c.host == 0 {
		c.host, _ = v.names.number(d.host)
	}
	if d.group != "" && c.group == 0 {
		c.group, _ = v.names.number(d.group)
	}
	v.promote(c, o.rank)
	if d.crowd != nil && c.crowd == 0 {
		if at, m := v.crowds.take(); m != nil {
			*m, c.crowd = *d.crowd, at
		}
	}
}

func (m *means) merge(o *means) {
	if o.last > m.last {
		m.last, m.fraction, m.unanswered = o.last, o.fraction, o.unanswered
		m.print, m.gaps, m.gapCount = o.print, o.gaps, o.gapCount
		m.mac = o.mac
		m.flags = m.flags&^meansZeroSeed | o.flags&meansZeroSeed
	}
	m.first = min(m.first, o.first)
	m.served, m.kissed = max(m.served, o.served), max(m.kissed, o.kissed)
	m.answered = add32(m.answered, o.answered)
	m.kisses = uint16(min(uint32(m.kisses)+uint32(o.kisses), 65535))
	for _, r := range o.refused {
		if r != 0 {
			m.refuse(reasonOf(r), r&reasonMask)
		}
	}
	m.versions, m.modes, m.flags = m.versions|o.versions, m.modes|o.modes, m.flags|o.flags&meansProved
	m.maxOctets = max(m.maxOctets, o.maxOctets)
	if o.minOctets != 0 && (m.minOctets == 0 || o.minOctets < m.minOctets) {
		m.minOctets = o.minOctets
	}
	if o.scheme != SchemeUnknown {
		m.scheme = o.scheme
	}
}
