package symkey

import (
	"cmp"
	"errors"
	"iter"
	"slices"

	"ntsbridge/bridge/ntp"
)

// Table is a set of usable keys. It is immutable and safe for concurrent use;
// a reload makes a new one. A nil *Table is an empty table.
type Table struct {
	byID   map[uint32]*Key
	sorted []*Key
}

var _ ntp.Keys = (*Table)(nil)

// NewTable makes a table of those keys that are in trusted: a key that ntpd
// was never told to trust must not become usable. Of several keys with one
// identifier the first wins, as in ntpd. A nil key is an error.
func NewTable(keys []*Key, trusted TrustedSet) (*Table, error) {
	t := &Table{byID: make(map[uint32]*Key)}
	for _, k := range keys {
		if k == nil {
			return nil, errors.New("key table: a key is nil")
		}
		if _, there := t.byID[k.id]; there || !trusted.Contains(k.id) {
			continue
		}
		t.byID[k.id] = k
		t.sorted = append(t.sorted, k)
	}
	slices.SortFunc(t.sorted, func(a, b *Key) int { return cmp.Compare(a.id, b.id) })
	return t, nil
}

// Lookup returns the usable key with that identifier, or nil.
func (t *Table) Lookup(id uint32) *Key {
	if t == nil {
		return nil
	}
	return t.byID[id]
}

// FullMACLen returns the uncut length of the key's MAC in octets; ok is false
// if there is no usable key with that identifier. It implements ntp.Keys.
func (t *Table) FullMACLen(id uint32) (octets int, ok bool) {
	if k := t.Lookup(id); k != nil {
		return k.MACLen(), true
	}
	return 0, false
}

// Len returns the number of usable keys.
func (t *Table) Len() int {
	if t == nil {
		return 0
	}
	return len(t.sorted)
}

// All iterates over the usable keys in the order of their identifiers.
func (t *Table) All() iter.Seq[*Key] {
	if t == nil {
		return func(func(*Key) bool) {}
	}
	return slices.Values(t.sorted)
}

// Open verifies the MAC at req.Layout.MAC over the packet before it, and
// returns the key to seal the answer with.
//
// A key that is not there or not trusted, and a wrong MAC, give a crypto-NAK,
// as ntpd does; a key identifier alone, without a MAC, gives nothing, as ntpd
// does. A MAC has to be whole or cut to 20 octets. The key's address
// list is not looked at, as ntpd does not: it names those whose time is
// accepted (and in ntpd, who may send mode 6 writes), while a client anywhere
// gets its answer signed. With a key of LimitClients a client outside the list
// gets a crypto-NAK; that is decided last, so that ReasonKeyAddress means a
// client that has the key.
//
// The key is nil unless the verdict is Answer.
func (t *Table) Open(req *ntp.Request, s *Scratch) (ntp.Verdict, *Key) {
	l := &req.Layout
	v := ntp.Verdict{Action: ntp.CryptoNAK, Kind: ntp.KindSymmetric, KeyID: l.KeyID}
	if l.Defect != ntp.ReasonOK {
		v.Action, v.Reason = ntp.Drop, l.Defect
		return v, nil
	}
	if l.Kind != ntp.KindSymmetric || l.MAC < ntp.HeaderLen || len(req.Packet)-keyIDLen <= l.MAC {
		v.Action, v.Reason = ntp.Drop, ntp.ReasonMalformed
		return v, nil
	}
	k := t.Lookup(l.KeyID)
	switch {
	case k == nil:
		v.Reason = ntp.ReasonUnknownKey
	case !k.Verify(req.Packet, l.MAC, s):
		v.Reason = ntp.ReasonBadMAC
	case k.strict && !k.Allows(req.From.Addr()):
		v.Reason = ntp.ReasonKeyAddress
	default:
		v.Action = ntp.Answer
		return v, k
	}
	return v, nil
}
