package nts

import (
	"bytes"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"ntsbridge/nts/aead"
)

// Secret is what a site's cookie keys are derived from: a ratchet of hashes
// with one step a minute. The key of an epoch is derived (HKDF-Expand, RFC 5869)
// from the state at the minute in which the epoch began, so any two servers
// with states of one ratchet, however far each has moved its own on, have the
// same keys, without talking and whatever their periods were before. Nobody can
// step back: who steals a state opens no cookie of the time before it.
//
// A Secret is immutable. It is kept as lines of text:
//
//	ratchet MINUTE STATE           minutes of Unix time; 64 hex digits
//	from SECOND                    seals cookies from this Unix time on, and the
//	                               secret before it until then; none: always
//	former PERIOD EPOCH KEY        a key of the former kind: opens cookies, never seals any
//
// A file of the former kind, at least 64 hex digits and nothing else, is a
// secret whose ratchet began at firstMinute. Until it is moved on, it also
// opens the cookies that were sealed under it without a ratchet.
type Secret struct {
	minute int64 // of Unix time
	state  [sha256.Size]byte
	from   int64       // Unix time; 0: always
	root   []byte      // of a file of the former kind
	former []formerKey // of one that was moved on
}

// formerKey is the key of one epoch as it was derived without a ratchet.
type formerKey struct {
	period, epoch int64
	key           [cookieKeyLen]byte
}

// cookieKeyLen is the length of the key of cookieAEAD.
const cookieKeyLen = 16

// MinSecretLen is the least length in octets of a secret without a ratchet.
const MinSecretLen = 32

// firstMinute is where the ratchet of a secret of the former kind begins, the
// start of 2026: the same for every server that was given one.
const firstMinute = 1767225600 / 60

// maxMinute bounds what a file may say: the year 4000.
const maxMinute = 64_060_588_800 / 60

// NewSecret makes a secret from 32 octets of random. Its keys begin with the
// epoch that begins at the given time, or the first one after it.
func NewSecret(random io.Reader, begin time.Time) (*Secret, error) {
	s := &Secret{minute: begin.Unix() / 60}
	if s.minute < 0 || s.minute > maxMinute {
		return nil, errors.New("nts: a cookie secret cannot begin before 1970 or after 4000: set the clock")
	}
	if _, err := io.ReadFull(random, s.state[:]); err != nil {
		return nil, fmt.Errorf("nts: cookie secret: %w", err)
	}
	return s, nil
}

// formerSecret makes the secret of a file of the former kind.
func formerSecret(octets []byte) (*Secret, error) {
	if len(octets) < MinSecretLen {
		return nil, fmt.Errorf("nts: cookie secret of %d octets is too short: at least %d are needed", len(octets), MinSecretLen)
	}
	s := &Secret{minute: firstMinute}
	state, err := hkdf.Extract(sha256.New, octets, []byte("ntsbridge cookie ratchet"))
	if err != nil {
		return nil, fmt.Errorf("nts: cookie secret: %w", err)
	}
	copy(s.state[:], state)
	clear(state)
	if s.root, err = hkdf.Extract(sha256.New, octets, []byte("ntsbridge cookie keys v1")); err != nil {
		return nil, fmt.Errorf("nts: cookie secret: %w", err)
	}
	return s, nil
}

// ParseSecret reads the text of a secret, of either kind. No error tells
// anything of it but where it is wrong.
func ParseSecret(text []byte) (*Secret, error) {
	if octets, err := hex.DecodeString(string(bytes.TrimSpace(text))); err == nil && len(octets) > 0 {
		return formerSecret(octets)
	}
	if !bytes.Contains(text, []byte("ratchet ")) {
		return nil, fmt.Errorf("it has %d octets and wants at least %d hex digits and nothing else, or a line \"ratchet MINUTE STATE\"",
			len(text), 2*MinSecretLen)
	}
	s := &Secret{minute: -1}
	number := 0
	for line := range strings.Lines(string(text)) {
		number++
		words := strings.Fields(line)
		if len(words) == 0 || strings.HasPrefix(words[0], "#") {
			continue
		}
		if err := s.parseLine(words); err != nil {
			return nil, fmt.Errorf("line %d: %w", number, err)
		}
	}
	if s.minute < 0 {
		return nil, errors.New("there is no line that begins with \"ratchet\"")
	}
	return s, nil
}

func (s *Secret) parseLine(words []string) error {
	switch {
	case words[0] == "ratchet" && len(words) == 3 && s.minute < 0:
		minute, err := number(words[1], maxMinute)
		if err != nil {
			return err
		}
		s.minute = minute
		return unhexInto(s.state[:], words[2])
	case words[0] == "from" && len(words) == 2 && s.from == 0:
		from, err := number(words[1], maxMinute*60)
		if err != nil {
			return err
		}
		s.from = from
		return nil
	case words[0] == "former" && len(words) == 4 && len(s.former) < 4*MaxKeep:
		var k formerKey
		var errs [2]error
		k.period, errs[0] = number(words[1], maxMinute*60)
		k.epoch, errs[1] = number(words[2], maxMinute)
		if err := errors.Join(errs[0], errs[1], unhexInto(k.key[:], words[3])); err != nil {
			return err
		}
		s.former = append(s.former, k)
		return nil
	}
	return errors.New("want \"ratchet MINUTE STATE\" once, \"from TIME\" at most once, \"former PERIOD EPOCH KEY\", or a comment")
}

func number(word string, most int64) (int64, error) {
	n, err := strconv.ParseUint(word, 10, 63)
	if err != nil || int64(n) > most {
		return 0, fmt.Errorf("want a number from 0 to %d as second and third word", most)
	}
	return int64(n), nil
}

func unhexInto(dst []byte, word string) error {
	if len(word) != 2*len(dst) {
		return fmt.Errorf("want %d hex digits at the end", 2*len(dst))
	}
	if _, err := hex.Decode(dst, []byte(word)); err != nil {
		return fmt.Errorf("want %d hex digits at the end", 2*len(dst))
	}
	return nil
}

// AppendText appends what ParseSecret reads. A secret of the former kind has to
// be moved on first; of one that was not, the former keys are left out.
func (s *Secret) AppendText(dst []byte) []byte {
	dst = append(dst, "# Cookie secret of ntsbridge. Servers that have copies of it accept each other's cookies.\n"+
		"# Each server moves its own copy on: cookies of the past cannot be opened with it.\n"...)
	dst = fmt.Appendf(dst, "ratchet %d %x\n", s.minute, s.state[:])
	if s.from != 0 {
		dst = fmt.Appendf(dst, "from %d\n", s.from)
	}
	for _, k := range s.former {
		dst = fmt.Appendf(dst, "former %d %d %x\n", k.period, k.epoch, k.key[:])
	}
	return dst
}

// Begin returns the time from which on its keys can be derived.
func (s *Secret) Begin() time.Time { return time.Unix(s.minute*60, 0) }

// From returns the time from which on it seals cookies, if there is a previous
// secret that does so before; zero for always.
func (s *Secret) From() time.Time {
	if s.from == 0 {
		return time.Time{}
	}
	return time.Unix(s.from, 0)
}

// SealingFrom returns a copy that seals cookies only from a time on.
func (s *Secret) SealingFrom(at time.Time) *Secret {
	c := *s
	c.from = max(at.Unix(), 1)
	return &c
}

// PreviousUntil returns when nothing of the secret before this one is accepted
// any more, zero if it does not say when it took its place. period and keep are
// those of NewRing.
func (s *Secret) PreviousUntil(period time.Duration, keep int) time.Time {
	seconds, err := checkEpochs(period, keep)
	if err != nil || s.from == 0 {
		return time.Time{}
	}
	return time.Unix((s.from/seconds+int64(keep)+2)*seconds, 0)
}

// Former reports whether it is of the former kind and was not moved on yet.
func (s *Secret) Former() bool { return s.root != nil }

// step moves the state on to a minute that is not before it.
func (s *Secret) step(to int64) {
	const label = "cookie ratchet" // with the state one block of the hash
	var block [len(label) + sha256.Size]byte
	copy(block[:], label)
	for ; s.minute < to; s.minute++ {
		copy(block[len(label):], s.state[:])
		s.state = sha256.Sum256(block[:])
	}
	clear(block[:])
}

// MovedOn returns the secret as it is to be kept from now on: without what only
// keys of epochs need that are not accepted any more. It is the same one if
// there is nothing to forget. period and keep are those of NewRing.
//
// What it forgets is lost, so now must be the true time.
func (s *Secret) MovedOn(period time.Duration, keep int, now time.Time) (*Secret, error) {
	seconds, err := checkEpochs(period, keep)
	if err != nil {
		return nil, err
	}
	oldest := now.Unix()/seconds - int64(keep)
	c := *s
	if s.root != nil {
		c.root = nil
		for epoch := max(oldest, 0); epoch <= oldest+2*int64(keep)+1; epoch++ {
			k := formerKey{period: seconds, epoch: epoch}
			if err := deriveKey(k.key[:], s.root, seconds, epoch); err != nil {
				return nil, err
			}
			c.former = append(c.former, k)
		}
	} else {
		c.former = nil
		for _, k := range s.former {
			if k.epoch >= now.Unix()/max(k.period, 1)-int64(keep) {
				c.former = append(c.former, k)
			}
		}
	}
	c.step(oldest * seconds / 60)
	if c.root == nil && s.root == nil && c.minute == s.minute && len(c.former) == len(s.former) {
		return s, nil
	}
	return &c, nil
}

// maxApart bounds, in minutes, how far apart states of one ratchet are looked
// for: 20 years.
const maxApart = 20 * 366 * 24 * 60

// Same reports whether two secrets are states of one ratchet.
func (s *Secret) Same(other *Secret) bool {
	a, b := *s, *other
	later := max(a.minute, b.minute)
	if later-min(a.minute, b.minute) > maxApart {
		return false
	}
	a.step(later)
	b.step(later)
	return a.state == b.state
}

// Fingerprint identifies the ratchet for a day without telling anything of it:
// servers that have the same secret show the same digits on the same day of UTC.
func (s *Secret) Fingerprint(now time.Time) string {
	const day = 24 * 60 // minutes
	c := *s
	c.step((now.Unix()/60/day + 1) * day)
	h := sha256.New()
	h.Write([]byte("fingerprint"))
	h.Write(c.state[:])
	sum := h.Sum(nil)
	return hex.EncodeToString(sum[:8])
}

// deriveKey makes the key of an epoch. The period is in it, so that a key that
// was meant to live a short time is never used for a long one.
func deriveKey(dst, root []byte, period, epoch int64) error {
	info := binary.BigEndian.AppendUint64([]byte("epoch key"), uint64(period))
	info = binary.BigEndian.AppendUint64(info, uint64(epoch))
	key, err := hkdf.Expand(sha256.New, root, string(info), len(dst))
	if err != nil {
		return fmt.Errorf("nts: cookie keys: %w", err)
	}
	copy(dst, key)
	clear(key)
	return nil
}

// keys makes the keys of the epochs first to last, of which none may begin
// before the state.
func (s *Secret) keys(period, first, last int64) ([]aead.Key, error) {
	if last < first {
		return nil, nil
	}
	list := make([]aead.Key, last-first+1)
	c := *s
	defer clear(c.state[:])
	for i := range list {
		epoch := first + int64(i)
		c.step(epoch * period / 60)
		if err := initEpochKey(&list[i], c.state[:], period, epoch); err != nil {
			return nil, err
		}
	}
	return list, nil
}

func initEpochKey(k *aead.Key, root []byte, period, epoch int64) error {
	var key [cookieKeyLen]byte
	defer clear(key[:])
	if err := deriveKey(key[:], root, period, epoch); err != nil {
		return err
	}
	return k.Init(cookieAEAD, key[:])
}

const redactedSecret = "nts.Secret(redacted)"

// Format tells nothing of it, whatever the verb.
func (s *Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redactedSecret) }
