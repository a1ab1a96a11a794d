package nts

import (
	"encoding/binary"
	"fmt"
	"io"
	"time"

	"ntsbridge/nts/aead"
)

// The cookie is sealed with AES-128-GCM-SIV (RFC 8452). It resists misuse of
// nonces: if two were ever equal, all that shows is whether two cookies under
// the same epoch key have the same content. It has the shortest nonce, and so
// the shortest cookies:
//
//	epoch (4, low bits)  nonce (12)  sealed client-to-server and server-to-client keys and tag
//
// Which AEAD the keys belong to follows from the length, and is bound by the
// associated data.
const (
	cookieAEAD     = aead.AES128GCMSIV
	cookieOverhead = 4 + CookieNonceLen + aead.TagLen
)

// CookieNonceLen is the length of the nonce of a cookie in octets.
const CookieNonceLen = 12

// maxOwnCookieLen is the length of our longest cookie in octets (AEAD 17).
// ntpsec takes at most 192.
const maxOwnCookieLen = cookieOverhead + 2*maxKeyLen

// CookieLen returns the length in octets of every cookie for an AEAD, a
// multiple of 4: 64 for 30, 96 for 15, 128 for 16, 160 for 17; 0 for others.
func CookieLen(id aead.ID) int {
	if id.KeyLen() == 0 {
		return 0
	}
	return cookieOverhead + 2*id.KeyLen()
}

// cookieKind returns the AEAD whose cookies have this length, or 0.
func cookieKind(octets int) aead.ID {
	switch octets {
	case CookieLen(aead.AES128GCMSIV):
		return aead.AES128GCMSIV
	case CookieLen(aead.AESSIVCMAC256):
		return aead.AESSIVCMAC256
	case CookieLen(aead.AESSIVCMAC384):
		return aead.AESSIVCMAC384
	case CookieLen(aead.AESSIVCMAC512):
		return aead.AESSIVCMAC512
	}
	return 0
}

// MaxKeep is the largest number of older epochs whose cookies are accepted.
const MaxKeep = 1024

// minPeriod is the shortest epoch; below it, clients would lose their cookies
// between two polls.
const minPeriod = time.Minute

// Ring is the cookie keys for one stretch of time: of the current epoch, of
// the older ones that are still accepted, and of the next one, so that
// gateways whose clocks differ by less than a period open each other's cookies.
// The epoch is Unix time divided by the period. It also opens the cookies of
// another secret, of which this one took or will take the place.
//
// Ring is immutable and may be used by several goroutines. Whoever owns the
// clock makes a new one when it is Overdue.
type Ring struct {
	windows []window // of the secret, then of what it only opens; the sealing key is in the first or second
	sealing int      // index of the window whose key seals
	current uint32   // low bits of the epoch whose key seals
	begins  time.Time
	expires time.Time
}

// window is the keys of consecutive epochs.
type window struct {
	first uint32 // low bits of the epoch of keys[0]
	keys  []aead.Key
	older bool // cookies of all of them are to be replaced
}

// key returns the key of an epoch, nil for none.
func (w *window) key(epoch uint32) *aead.Key {
	if index := epoch - w.first; index < uint32(len(w.keys)) { // wraps for older ones
		return &w.keys[index]
	}
	return nil
}

// NewRing returns the ring for now. previous is the secret before this one, nil
// for none: its cookies are opened, and it seals them until the time from which
// on the other one does. The period is whole seconds, at least a minute. Cookies
// of keep older epochs (0 to MaxKeep) are accepted.
//
// A clock from before the time to which the secret was moved on is behind. Then
// the keys are those of the last time that is known to have come: clients keep
// their cookies.
//
// Another period means other keys: all cookies that clients hold become unknown,
// they get an NTS NAK and establish keys anew.
func NewRing(s, previous *Secret, period time.Duration, keep int, now time.Time) (*Ring, error) {
	seconds, err := checkEpochs(period, keep)
	if err != nil {
		return nil, err
	}
	epoch := max(now.Unix(), 0) / seconds // a clock before 1970 is wrong, and to be set
	r := &Ring{begins: time.Unix(epoch*seconds, 0), expires: time.Unix((epoch+1)*seconds, 0)}
	current, err := r.add(s, seconds, epoch, int64(keep), 0)
	if err != nil {
		return nil, err
	}
	r.current = uint32(current)
	if previous == nil {
		return r, nil
	}
	switched := int64(0) // the last epoch of the previous one; one more for clocks that are behind
	if s.from != 0 {
		switched = s.from/seconds + 1
	}
	at := len(r.windows)
	if current, err = r.add(previous, seconds, epoch, int64(keep), switched); err != nil {
		return nil, err
	}
	if now.Unix() < s.from && r.windows[at].key(uint32(current)) != nil {
		r.sealing, r.current = at, uint32(current)
		if from := time.Unix(s.from, 0); from.Before(r.expires) {
			r.expires = from
		}
		return r, nil
	}
	for i := at; i < len(r.windows); i++ {
		r.windows[i].older = true
	}
	if from := time.Unix(s.from, 0); s.from != 0 && from.After(r.begins) {
		r.begins = from
	}
	return r, nil
}

// checkEpochs returns the length of an epoch in seconds.
func checkEpochs(period time.Duration, keep int) (seconds int64, err error) {
	switch {
	case period < minPeriod || period%time.Second != 0:
		return 0, fmt.Errorf("nts: cookie key period %v: must be whole seconds and at least %v", period, minPeriod)
	case keep < 0 || keep > MaxKeep:
		return 0, fmt.Errorf("nts: %d older cookie keys to keep: must be 0 to %d", keep, MaxKeep)
	}
	return int64(period / time.Second), nil
}

// add adds the windows of a secret, of epochs up to end if that is not 0, and
// returns the epoch whose key seals.
func (r *Ring) add(s *Secret, seconds, epoch, keep, end int64) (current int64, err error) {
	first := (s.minute*60 + seconds - 1) / seconds // that can be derived
	current = epoch
	switch {
	case epoch == first-1: // just made, or the clock is a little behind
		current = first
	case epoch < first:
		current = first + keep
	}
	last := max(current, first+keep) + 1
	if end != 0 {
		last = min(last, end)
	}
	first = max(first, current-keep)
	keys, err := s.keys(seconds, first, last)
	if err != nil {
		return 0, err
	}
	r.windows = append(r.windows, window{first: uint32(first), keys: keys})
	return current, r.addFormer(s, seconds, epoch, keep)
}

// addFormer adds the keys of the former kind.
func (r *Ring) addFormer(s *Secret, seconds, epoch, keep int64) error {
	if s.root != nil {
		oldest := max(epoch-keep, 0)
		w := window{first: uint32(oldest), keys: make([]aead.Key, epoch+2-oldest), older: true}
		for i := range w.keys {
			if err := initEpochKey(&w.keys[i], s.root, seconds, oldest+int64(i)); err != nil {
				return err
			}
		}
		r.windows = append(r.windows, w)
	}
	for _, k := range s.former {
		if k.period != seconds || k.epoch < epoch-keep {
			continue
		}
		w := window{first: uint32(k.epoch), keys: make([]aead.Key, 1), older: true}
		if err := w.keys[0].Init(cookieAEAD, k.key[:]); err != nil {
			return err
		}
		r.windows = append(r.windows, w)
	}
	return nil
}

// Expires returns when the next epoch begins and a new ring is due. An
// overdue ring keeps working: it seals with the key of its epoch.
func (r *Ring) Expires() time.Time { return r.expires }

// Overdue reports whether another ring is due: its epoch is over, or it was made
// by a clock that was ahead of this time.
func (r *Ring) Overdue(now time.Time) bool { return !now.Before(r.expires) || now.Before(r.begins) }

// Epochs returns how many keys the ring opens cookies with.
func (r *Ring) Epochs() (n int) {
	for i := range r.windows {
		n += len(r.windows[i].keys)
	}
	return n
}

const redactedRing = "nts.Ring(redacted)"

// Format tells nothing of the keys, whatever the verb.
func (r *Ring) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, redactedRing) }

// AppendCookie appends a sealed cookie of CookieLen octets, under the current
// epoch's key. The nonce should never repeat and must not be predictable: it
// travels in the clear, and who can predict the next one can link a client's
// requests. dst must not overlap nonce.
func (r *Ring) AppendCookie(dst []byte, keys *Keys, nonce *[CookieNonceLen]byte) []byte {
	dst = binary.BigEndian.AppendUint32(dst, r.current)
	dst = append(dst, nonce[:]...)
	ad := cookieAD(r.current, keys.AEAD)
	return r.windows[r.sealing].key(r.current).Seal(dst, nonce[:], keys.both[:2*keys.AEAD.KeyLen()], ad[:])
}

// OpenCookie opens a cookie. legacy tells that it is of an older epoch or
// secret. ok is false if it is not a cookie of ours, too old, or forged; keys are
// cleared then.
func (r *Ring) OpenCookie(keys *Keys, cookie []byte) (legacy, ok bool) {
	keys.Clear() // also of longer ones than these
	id := cookieKind(len(cookie))
	if id == 0 {
		return false, false
	}
	epoch := binary.BigEndian.Uint32(cookie)
	ad := cookieAD(epoch, id)
	sealed := cookie[4+CookieNonceLen:]
	for i := range r.windows {
		w := &r.windows[i]
		key := w.key(epoch)
		if key == nil {
			continue
		}
		if _, err := key.Open(keys.both[:0], cookie[4:4+CookieNonceLen], sealed, ad[:]); err == nil {
			keys.AEAD = id
			return w.older || int32(epoch-r.current) < 0, true
		}
		keys.Clear()
	}
	return false, false
}

func cookieAD(epoch uint32, id aead.ID) (ad [6]byte) {
	binary.BigEndian.PutUint32(ad[:], epoch)
	binary.BigEndian.PutUint16(ad[4:], uint16(id))
	return ad
}
