package fastpath

import (
	"encoding/binary"
	"net/netip"
	"strings"
	"testing"

	"ntsbridge/bridge/access"
	"ntsbridge/bridge/ntp"
	"ntsbridge/symkey"
)

// keyedFrame is plainFrame with a key's MAC.
func keyedFrame(k *symkey.Key) []byte {
	f := plainFrame()
	payload := make([]byte, 128)
	n := k.Seal(payload, copy(payload, f[42:]), k.WireLen(4), symkey.NewScratch())
	f = append(f[:42], payload[:n]...)
	binary.BigEndian.PutUint16(f[16:], uint16(len(f)-14))
	binary.BigEndian.PutUint16(f[38:], uint16(len(f)-34))
	clear(f[24:26])
	sum := uint32(0)
	for i := 14; i < 34; i += 2 {
		sum += uint32(binary.BigEndian.Uint16(f[i:]))
	}
	binary.BigEndian.PutUint16(f[24:], ^uint16(sum>>16+sum))
	return f
}

func keyTable(t *testing.T, keys ...*symkey.Key) *symkey.Table {
	t.Helper()
	table, err := symkey.NewTable(keys, symkey.TrustAll)
	if err != nil {
		t.Fatal(err)
	}
	return table
}

func keyOfSecret(t *testing.T, id uint32, algorithm, secret string) *symkey.Key {
	t.Helper()
	k, err := symkey.NewKey(id, algorithm, []byte(secret), nil)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// Keys that are there answer, revoked and changed ones do not from the moment
// that Govern returns, rules keep keys away, and nothing of a secret stays.
func TestKeysComeAndGo(t *testing.T) {
	e := newTried(t)
	e.SetClock(&ntp.ClockState{Stratum: 2, Precision: -24})
	govern := func(table *symkey.Table, ranges ...access.KeyRange) {
		t.Helper()
		rules, err := access.NewTable([]access.Rule{{Prefix: netip.MustParsePrefix("0.0.0.0/0"), Action: access.Allow,
			Kinds: access.KindsOf(ntp.KindSymmetric), Keys: ranges}})
		if err != nil {
			t.Fatal(err)
		}
		e.Govern(rules, e.shared, table)
	}
	try := func(what string, k *symkey.Key, cause string) {
		t.Helper()
		e.SetClock(&ntp.ClockState{Stratum: 2, Precision: -24}) // whatever the load
		out := e.try(what, keyedFrame(k), cause)
		if cause == "" && !k.Verify(out[42:], ntp.HeaderLen, symkey.NewScratch()) {
			t.Errorf("%s: the answer's MAC is wrong: % x", what, out[42+ntp.HeaderLen:])
		}
	}
	md5, sha1 := keyOfSecret(t, 1, "MD5", "sesame"), keyOfSecret(t, 2, "SHA1", "0123456789abcdefghij")
	aes, other := keyOfSecret(t, 3, "AES128", "0123456789abcdef"), keyOfSecret(t, 1, "MD5", "open")
	govern(nil)
	try("no keys", md5, "key")
	govern(keyTable(t, md5, sha1, aes))
	try("MD5", md5, "")
	try("SHA1", sha1, "")
	if e.keys.prepare != nil {
		try("AES128", aes, "")
	} else {
		try("AES128 without the kernel's cipher", aes, "key")
	}
	try("another secret", other, "mac")
	e.try("no authentication", plainFrame(), "refused")
	govern(keyTable(t, md5, sha1, aes), access.KeyRange{Low: 2, High: 9})
	try("a key that the rule does not have", md5, "refused")
	try("one that it has", sha1, "")
	govern(keyTable(t, other, aes))
	try("the former secret", md5, "mac")
	try("a revoked key", sha1, "key")
	try("the new secret", other, "")
	e.Detach()
	for i, b := range e.keys.memory {
		if b != 0 {
			t.Fatalf("octet %d of the keys is still there", i)
		}
	}
	var id, slot uint32
	if e.keys.slots.Iterate().Next(&id, &slot) {
		t.Errorf("key %d is still there", id)
	}
}

// More keys than there is room for are the sockets'.
func TestTooManyKeys(t *testing.T) {
	e := newTried(t)
	var keys []*symkey.Key
	for id := range uint32(maxKeys + 2) {
		keys = append(keys, keyOfSecret(t, id+1, "MD5", "0123456789abcdef"))
	}
	table := keyTable(t, keys...)
	e.SetClock(&ntp.ClockState{Stratum: 2, Precision: -24})
	rules, err := access.NewTable([]access.Rule{{Prefix: netip.MustParsePrefix("0.0.0.0/0"), Action: access.Allow, Kinds: access.AllKinds}})
	if err != nil {
		t.Fatal(err)
	}
	e.Govern(rules, e.shared, table)
	e.SetClock(&ntp.ClockState{Stratum: 2, Precision: -24})
	e.try("the last that has room", keyedFrame(keys[maxKeys-1]), "")
	e.SetClock(&ntp.ClockState{Stratum: 2, Precision: -24})
	e.try("one more", keyedFrame(keys[maxKeys]), "key")
	if why := e.Wrong(); !strings.Contains(why, "2 keys") {
		t.Errorf("nothing is said of the others: %q", why)
	}
}
