package nts_test

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"
	"time"

	"ntsbridge/nts"
	"ntsbridge/nts/aead"
)

const hour = time.Hour

func ringOf(t testing.TB, s, previous *nts.Secret, keep int, now time.Time) *nts.Ring {
	t.Helper()
	r, err := nts.NewRing(s, previous, hour, keep, now)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func movedOn(t testing.TB, s *nts.Secret, keep int, now time.Time) *nts.Secret {
	t.Helper()
	m, err := s.MovedOn(hour, keep, now)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// reread is what a start finds in the file.
func reread(t testing.TB, s *nts.Secret) *nts.Secret {
	t.Helper()
	again, err := nts.ParseSecret(s.AppendText(nil))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(again.AppendText(nil), s.AppendText(nil)) {
		t.Fatalf("%s became %s", s.AppendText(nil), again.AppendText(nil))
	}
	return again
}

func opens(r *nts.Ring, c []byte) bool {
	var k nts.Keys
	_, ok := r.OpenCookie(&k, c)
	return ok
}

// Who reads the file opens no cookie of the past, whatever clock and options he
// gives to his own server; of what is accepted nothing is lost.
func TestRatchetForgets(t *testing.T) {
	k := testKeys(t, aead.AES128GCMSIV)
	s := testSecret(t)
	var cookies [][]byte // of each hour from start on
	for i := range 10 {
		cookies = append(cookies, cookie(ringOf(t, s, nil, 2, start.Add(time.Duration(i)*hour)), k, i))
	}
	now := start.Add(9 * hour)
	stolen := reread(t, movedOn(t, s, 2, now))
	for i, c := range cookies {
		if got, want := opens(ringOf(t, stolen, nil, 2, now), c), i >= 7; got != want {
			t.Errorf("cookie of hour %d, kept: opens %v, want %v", i, got, want)
		}
		for _, clock := range []time.Time{now, start, start.Add(time.Duration(i) * hour), time.Unix(0, 0)} {
			if opens(ringOf(t, stolen, nil, 100, clock), c) && i < 7 {
				t.Errorf("cookie of hour %d opens at %v with what is on disk in hour 9", i, clock)
			}
		}
	}
	if again := movedOn(t, stolen, 2, now.Add(time.Minute)); again != stolen {
		t.Error("moved on within an epoch")
	}
	if back := movedOn(t, stolen, 2, start); !bytes.Equal(back.AppendText(nil), stolen.AppendText(nil)) {
		t.Error("moved by a clock that was set back")
	}
}

// Two servers, one with a young copy and an old file, their clocks apart.
func TestServersWithOneSecretAreInStep(t *testing.T) {
	k := testKeys(t, aead.AESSIVCMAC256)
	first := testSecret(t)
	second := reread(t, first)
	for i := range 30 {
		now := start.Add(time.Duration(i) * 25 * time.Minute)
		first = reread(t, movedOn(t, first, 2, now))
		if i == 10 {
			second = reread(t, first) // restored from the other one
		}
		for _, apart := range []time.Duration{0, time.Second, -time.Second, 59 * time.Minute, -59 * time.Minute} {
			a, b := ringOf(t, first, nil, 2, now), ringOf(t, second, nil, 2, now.Add(apart))
			if !opens(a, cookie(b, k, i)) || !opens(b, cookie(a, k, i)) {
				t.Errorf("step %d, clocks %v apart: a cookie of the other one does not open", i, apart)
			}
		}
		if !first.Same(second) || !second.Same(first) || first.Fingerprint(now) != second.Fingerprint(now) {
			t.Fatal("two states of one ratchet do not know each other")
		}
	}
	other := secretFrom(t, bytes.Repeat([]byte{9}, 32), start)
	if first.Same(other) || first.Fingerprint(start) == other.Fingerprint(start) {
		t.Error("another ratchet is taken for the same")
	}
}

// A clock that is far behind, as without a battery, loses nobody's cookies.
func TestClockBehindTheSecret(t *testing.T) {
	k := testKeys(t, aead.AES128GCMSIV)
	s := testSecret(t)
	c := cookie(ringOf(t, s, nil, 2, start), k, 1)
	kept := reread(t, movedOn(t, s, 2, start.Add(hour)))
	for _, clock := range []time.Time{time.Unix(0, 0), time.Unix(100, 0), start.Add(-100 * hour), start.Add(-hour)} {
		r := ringOf(t, kept, nil, 2, clock)
		if !opens(r, c) || !opens(ringOf(t, s, nil, 2, start.Add(hour)), cookie(r, k, 2)) {
			t.Errorf("at %v: cookies are lost", clock)
		}
		if !r.Overdue(start) || r.Overdue(clock) {
			t.Errorf("at %v: due at start %v, now %v", clock, r.Overdue(start), r.Overdue(clock))
		}
	}
	if r := ringOf(t, s, nil, 2, start.Add(1000*hour)); !r.Overdue(start) {
		t.Error("a clock that was set back needs another ring")
	}
	// Just made, in the middle of an epoch.
	if young := ringOf(t, secretFrom(t, secret, start), nil, 2, start); !opens(young, cookie(young, k, 1)) {
		t.Error("a new secret does not open its own cookie")
	}
}

// A file from before there was a ratchet opens what was sealed with it, also
// what servers seal that were not upgraded yet, and after it was moved on.
func TestFormerSecret(t *testing.T) {
	captured := loadCaptured(t)[0]
	ring := func(s *nts.Secret, now time.Time) *nts.Ring {
		r, err := nts.NewRing(s, nil, 24*hour, 7, now)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	body := classify(captured.packet).Layout.Cookie.Body(captured.packet)
	s := formerSecret(t)
	if !s.Former() {
		t.Error("not known as former")
	}
	m, err := s.MovedOn(24*hour, 7, captured.at.Add(-hour))
	if err != nil {
		t.Fatal(err)
	}
	m = reread(t, m)
	if m.Former() || strings.Contains(string(m.AppendText(nil)), hex.EncodeToString(secret)) {
		t.Error("the former secret is still on disk")
	}
	for days, want := range map[int]bool{-2: false, -1: true, 0: true, 7: true, 8: false} {
		now := captured.at.Add(time.Duration(days) * 24 * hour)
		if got := opens(ring(s, now), body); got != want {
			t.Errorf("day %+d: opens %v, want %v", days, got, want)
		}
		if got := opens(ring(m, now), body); got != (days <= 7) {
			t.Errorf("day %+d, moved on: opens %v", days, got)
		}
		if k := testKeys(t, aead.AES128GCMSIV); !opens(ring(m, now), cookie(ring(s, now), k, 1)) ||
			!opens(ring(s, now), cookie(ring(m, now), k, 1)) {
			t.Errorf("day %+d: one that was moved on and one that was not differ", days)
		}
	}
	if later := movedOn(t, m, 7, captured.at.Add(30*24*hour)); strings.Contains(string(later.AppendText(nil)), "former") {
		t.Error("former keys stay for ever")
	}
}

// A change of the secret on two servers, one of which learns of it later: both
// have both before it begins to seal. No cookie is refused at any time.
func TestChangeOfSecret(t *testing.T) {
	const keep = 3
	k := testKeys(t, aead.AES128GCMSIV)
	old, now := testSecret(t), start
	at := start.Add(90 * time.Minute) // in the middle of an epoch
	next := secretFrom(t, bytes.Repeat([]byte{7}, 32), start.Truncate(hour)).SealingFrom(at)
	next = reread(t, next)
	type sealed struct {
		at     time.Time
		cookie []byte
	}
	var all []sealed
	for ; now.Before(start.Add(12 * hour)); now = now.Add(10 * time.Minute) {
		old, next = movedOn(t, old, keep, now), movedOn(t, next, keep, now)
		a := ringOf(t, next, old, keep, now)
		b := ringOf(t, next, old, keep, now.Add(-20*time.Second))
		rings := []*nts.Ring{a, b}
		if now.Before(start.Add(hour)) { // not told yet
			rings[1] = ringOf(t, old, nil, keep, now)
		}
		for _, r := range rings {
			all = append(all, sealed{now, cookie(r, k, len(all))})
		}
		for _, c := range all {
			if now.Sub(c.at) > keep*hour {
				continue
			}
			for i, r := range rings {
				if !opens(r, c.cookie) {
					t.Fatalf("at %v server %d refuses a cookie of %v", now, i, c.at)
				}
			}
		}
	}
	if until := next.PreviousUntil(hour, keep); !until.After(at.Add(keep*hour)) || until.After(at.Add((keep+2)*hour)) {
		t.Errorf("the one before is accepted until %v", until)
	}
	// What the old one would seal now, which only a thief does, is refused.
	if opens(ringOf(t, next, old, keep, now), cookie(ringOf(t, old, nil, keep, now), k, 1)) {
		t.Error("a cookie of the former secret from after its end is accepted")
	}
	before := ringOf(t, next.SealingFrom(now.Add(time.Minute)), old, keep, now)
	if !before.Overdue(now.Add(time.Minute)) || before.Overdue(now) {
		t.Errorf("due at the change: %v, now: %v", before.Overdue(now.Add(time.Minute)), before.Overdue(now))
	}
}

func TestParseSecretRefuses(t *testing.T) {
	state := strings.Repeat("ab", 32)
	for name, text := range map[string]string{
		"empty":            "",
		"only a comment":   "# nothing\n",
		"short former one": strings.Repeat("ab", 31),
		"no number":        "ratchet x " + state,
		"negative":         "ratchet -1 " + state,
		"too late":         "ratchet 99999999999999 " + state,
		"short state":      "ratchet 1 abcd",
		"long state":       "ratchet 1 " + state + "00",
		"twice":            "ratchet 1 " + state + "\nratchet 2 " + state,
		"no state":         "from 17",
		"unknown":          "ratchet 1 " + state + "\nkeep 7",
		"former":           "ratchet 1 " + state + "\nformer 1 2 ab",
	} {
		s, err := nts.ParseSecret([]byte(text))
		if err == nil || s != nil {
			t.Errorf("%s: accepted", name)
		} else if strings.Contains(err.Error(), state[:8]) {
			t.Errorf("%s: the error tells the secret: %v", name, err)
		}
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x"} {
		if text := fmt.Sprintf(verb, testSecret(t)); text != "nts.Secret(redacted)" {
			t.Errorf("%s prints %q", verb, text)
		}
	}
}

func FuzzParseSecret(f *testing.F) {
	f.Add([]byte(hex.EncodeToString(secret)))
	f.Add(testSecret(f).SealingFrom(start).AppendText(nil))
	m, err := formerSecret(f).MovedOn(24*hour, 3, start)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(m.AppendText(nil))
	f.Fuzz(func(t *testing.T, text []byte) {
		s, err := nts.ParseSecret(text)
		if err != nil || s.Former() {
			return
		}
		again := reread(t, s)
		// One near now, and one of any time whose ring cannot take long.
		if begin := s.Begin(); begin.Before(start.Add(-100_000 * hour)) {
			return
		}
		r := ringOf(t, again, nil, 7, start)
		if k := testKeys(t, aead.AES128GCMSIV); !opens(r, cookie(r, k, 1)) {
			t.Fatalf("does not open its own cookie: %q", text)
		}
	})
}
