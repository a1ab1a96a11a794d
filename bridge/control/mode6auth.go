package control

import (
	"encoding/binary"

	"ntsbridge/symkey"
)

// Authority are the keys of requests that need one.
type Authority struct {
	Keys    *symkey.Table
	Control uint32 // identifier of the key that may ask for everything (ntpd's controlkey); 0: none
}

// By so many octets a packet with a MAC is longer than its data, brought up to 8
// octets: from a key identifier alone to a SHA1, as ntpd takes it.
const minMACSpan, maxMACSpan = 4, 24

const minDigestLen = 16 // octets

// authentication is what a request says of itself.
type authentication struct {
	asked bool        // it ends in what may be a MAC: the answer has one too
	wrong bool        // it is not that of the key that it names
	key   *symkey.Key // of a good MAC; nil: none
	maker *symkey.Scratch
}

// verify looks at what stands behind the data of a request.
func verify(p []byte, count int, keys *symkey.Table) (a authentication) {
	at := (queryHeaderLen + count + 7) &^ 7
	if early := (queryHeaderLen + count + 3) &^ 3; early < at && len(p)-early >= 4+minDigestLen {
		// ntpsec's ntpq puts the MAC there.
		scratch := symkey.NewScratch()
		if k := keys.Lookup(binary.BigEndian.Uint32(p[early:])); k != nil && k.Verify(p, early, scratch) {
			return authentication{asked: true, key: k, maker: scratch}
		}
	}
	if span := len(p) - at; span < minMACSpan || span > maxMACSpan {
		return a
	}
	a.asked, a.maker = true, symkey.NewScratch()
	id := binary.BigEndian.Uint32(p[at:])
	k := keys.Lookup(id)
	switch {
	case k == nil:
		a.wrong = id == 0
	case k.Verify(p, at, a.maker):
		a.key = k
	default:
		a.wrong = true
	}
	return a
}

// seal puts a MAC behind an answer. To a wrong MAC it is key identifier 0 alone,
// to one of an unknown key nothing, as ntpd has it. An error is not filled up to
// 8 octets.
func (a *authentication) seal(p []byte, fill bool) []byte {
	if !a.asked {
		return p
	}
	for fill && len(p)%8 != 0 {
		p = append(p, 0)
	}
	if a.wrong {
		return append(p, 0, 0, 0, 0)
	}
	if a.key == nil {
		return p
	}
	n := len(p)
	macLen := a.key.WireLen(4)
	p = append(p, make([]byte, 4+macLen)...)
	return p[:a.key.Seal(p, n, macLen, a.maker)]
}

// allowed tells whether a request bears the key that may ask for everything.
func (a *authentication) allowed(by *Authority) bool {
	return a.key != nil && by.Control != 0 && a.key.ID() == by.Control
}
