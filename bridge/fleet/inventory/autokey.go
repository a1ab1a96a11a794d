package inventory

import "ntsbridge/bridge/ntp"

// Autokey is what the messages of an Autokey client tell of it.
type Autokey struct {
	Addr        [16]byte
	At          ntp.Timestamp
	Host, Group string
}

// SeeAutokey takes what an ASSOC message told of a client. It never makes a
// row: the packet itself does. false: there is none yet.
func (v *Inventory) SeeAutokey(a *Autokey) bool {
	place, bitsOf, _ := v.opt.Addresses.place(&a.Addr)
	ref := v.find(&place, bitsOf, v.index.hash(&place, bitsOf))
	if ref == 0 {
		return false
	}
	c := v.clients.at(ref)
	var ok, ok2 bool
	c.host, ok = v.names.number(a.Host)
	c.group, ok2 = v.names.number(a.Group)
	if !ok || !ok2 {
		v.full.Names++
	}
	v.touch(ref, c)
	return true
}
