package nts

import (
	"crypto/hkdf"
	"crypto/sha256"
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

// MinSecretLen is the least length of a site secret in octets.
const MinSecretLen = 32

// MaxKeep is the largest number of older epochs whose cookies are accepted.
const MaxKeep = 1024

// minPeriod is the shortest epoch; below it, clients would lose their cookies
// between two polls.
const minPeriod = time.Minute

// Ring is the cookie keys for one stretch of time: of the current epoch, of
// the older ones that are still accepted, and of the next one, so that
// gateways whose clocks differ by less than a period open each other's cookies. The
// epoch is Unix time divided by the period; keys are derived from the site
// secret and the epoch by HKDF-SHA256 (RFC 5869), so gateways that share the
// secret agree without talking, and a restart keeps cookies valid.
//
// Ring is immutable and may be used by several goroutines. Whoever owns the
// clock makes a new one when Expires has come.
type Ring struct {
	first   uint32     // low bits of the epoch of keys[0]
	current int        // index of the current epoch's key
	keys    []aead.Key // oldest first, the last one is of the next epoch
	expires time.Time
	period  time.Duration
}

// NewRing returns the ring for now. The secret has at least MinSecretLen
// random octets and is not kept. The period is whole seconds, at least a
// minute. Cookies of keep older epochs (0 to MaxKeep) are accepted.
//
// Another secret or period means other keys: all cookies that clients hold
// become unknown, they get an NTS NAK and establish keys anew.
func NewRing(secret []byte, period time.Duration, keep int, now time.Time) (*Ring, error) {
	switch {
	case len(secret) < MinSecretLen:
		return nil, fmt.Errorf("nts: cookie secret of %d octets is too short: at least %d are needed", len(secret), MinSecretLen)
	case period < minPeriod || period%time.Second != 0:
		return nil, fmt.Errorf("nts: cookie key period %v: must be whole seconds and at least %v", period, minPeriod)
	case keep < 0 || keep > MaxKeep:
		return nil, fmt.Errorf("nts: %d older cookie keys to keep: must be 0 to %d", keep, MaxKeep)
	}
	seconds := int64(period / time.Second)
	epoch := max(now.Unix(), 0) / seconds // a clock before 1970 is wrong, and to be set
	keep = int(min(int64(keep), epoch))
	root, err := hkdf.Extract(sha256.New, secret, []byte("ntsbridge cookie keys v1"))
	if err != nil {
		return nil, fmt.Errorf("nts: cookie keys: %w", err)
	}
	defer clear(root)
	oldest := epoch - int64(keep)
	r := &Ring{uint32(oldest), keep, make([]aead.Key, keep+2), time.Unix((epoch+1)*seconds, 0), period}
	for i := range r.keys {
		if err := initEpochKey(&r.keys[i], root, seconds, oldest+int64(i)); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// initEpochKey derives the key of an epoch. The period is in it, so that a
// key that was meant to live a short time is never used for a long one.
func initEpochKey(k *aead.Key, root []byte, period, epoch int64) error {
	info := binary.BigEndian.AppendUint64([]byte("epoch key"), uint64(period))
	info = binary.BigEndian.AppendUint64(info, uint64(epoch))
	key, err := hkdf.Expand(sha256.New, root, string(info), cookieAEAD.KeyLen())
	if err != nil {
		return fmt.Errorf("nts: cookie keys: %w", err)
	}
	defer clear(key)
	return k.Init(cookieAEAD, key)
}

// Expires returns when the next epoch begins and a new ring is due. An
// overdue ring keeps working: it seals with the key of its epoch.
func (r *Ring) Expires() time.Time { return r.expires }

// Overdue reports whether another ring is due at time now: its epoch is over, or
// it was made by a clock that was ahead by more than the next one.
func (r *Ring) Overdue(now time.Time) bool {
	return !now.Before(r.expires) || now.Before(r.expires.Add(-2*r.period))
}

// Epochs returns how many epochs' cookies the ring opens, with the current
// and the next one.
func (r *Ring) Epochs() int { return len(r.keys) }

const redactedRing = "nts.Ring(redacted)"

// Format tells nothing of the keys, whatever the verb.
func (r *Ring) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, redactedRing) }

// AppendCookie appends a sealed cookie of CookieLen octets, under the current
// epoch's key. The nonce should never repeat and must not be predictable: it
// travels in the clear, and who can predict the next one can link a client's
// requests. dst must not overlap nonce.
func (r *Ring) AppendCookie(dst []byte, keys *Keys, nonce *[CookieNonceLen]byte) []byte {
	epoch := r.first + uint32(r.current)
	dst = binary.BigEndian.AppendUint32(dst, epoch)
	dst = append(dst, nonce[:]...)
	ad := cookieAD(epoch, keys.AEAD)
	return r.keys[r.current].Seal(dst, nonce[:], keys.both[:2*keys.AEAD.KeyLen()], ad[:])
}

// OpenCookie opens a cookie. legacy tells that it is of an older epoch. ok is
// false if it is not a cookie of ours, too old, or forged; keys are cleared
// then.
func (r *Ring) OpenCookie(keys *Keys, cookie []byte) (legacy, ok bool) {
	keys.Clear() // also of longer ones than these
	id := cookieKind(len(cookie))
	if id == 0 {
		return false, false
	}
	epoch := binary.BigEndian.Uint32(cookie)
	index := epoch - r.first // wraps for older ones
	if index >= uint32(len(r.keys)) {
		return false, false
	}
	ad := cookieAD(epoch, id)
	sealed := cookie[4+CookieNonceLen:]
	if _, err := r.keys[index].Open(keys.both[:0], cookie[4:4+CookieNonceLen], sealed, ad[:]); err != nil {
		return false, false
	}
	keys.AEAD = id
	return int(index) < r.current, true
}

func cookieAD(epoch uint32, id aead.ID) (ad [6]byte) {
	binary.BigEndian.PutUint32(ad[:], epoch)
	binary.BigEndian.PutUint16(ad[4:], uint16(id))
	return ad
}
