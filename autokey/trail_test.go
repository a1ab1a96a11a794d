package autokey

import (
	"crypto/rand"
	"fmt"
	"testing"
	"time"

	"ntsbridge/autokey/keyfile"
	"ntsbridge/bridge/ntp"
)

// signed returns the certificate of a host signed by another one.
func signed(t *testing.T, h, by *keyfile.Host) CachedCertificate {
	t.Helper()
	now := (ntp.Timestamp(testMade+500) << 32).Time(time.Unix(1_795_000_000, 0))
	der, err := keyfile.SignCertificate(rand.Reader, h.Certificate, keyfile.Issuer{Name: by.Name, Key: by.HostKey, NID: by.NID()}, now)
	if err != nil {
		t.Fatal(err)
	}
	c, err := keyfile.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return CachedCertificate{c, h.CertificateFilestamp}
}

func self(h *keyfile.Host) CachedCertificate {
	return CachedCertificate{h.Certificate, h.CertificateFilestamp}
}

func TestTrail(t *testing.T) {
	policy := keyfile.DefaultPolicy()
	root := newHost(t, tick)
	mid, low := newHost(t, hostSpec{name: "mid", key: 2}), newHost(t, hostSpec{name: "low", key: 3})
	stranger := newHost(t, hostSpec{name: "tick", key: 3, trusted: true})
	late := newHost(t, hostSpec{name: "tick", trusted: true, made: testMade + 4000})
	future := self(root)
	future.Filestamp = testMade + 1
	private := *root.Certificate
	private.Private = true
	for _, c := range []struct {
		name string
		want string // first subject asked for
		add  []CachedCertificate
		ok   bool // the last one completes the trail
		ev   Event
	}{
		{"trusted", "tick", []CachedCertificate{self(root)}, true, 0},
		{"two", "mid", []CachedCertificate{signed(t, mid, root), self(root)}, true, 0},
		{"three", "low", []CachedCertificate{signed(t, low, mid), signed(t, mid, root), self(root)}, true, 0},
		{"not trusted", "mid", []CachedCertificate{self(mid)}, false, EventVFY},
		{"other subject", "mid", []CachedCertificate{self(root)}, false, EventVFY},
		{"other subject in the middle", "low", []CachedCertificate{signed(t, low, mid), self(root)}, false, EventVFY},
		{"another key of the same name", "mid", []CachedCertificate{signed(t, mid, root), self(stranger)}, false, EventVFY},
		{"issuer not valid then", "mid", []CachedCertificate{signed(t, mid, root), self(late)}, false, EventPER},
		{"signed by ourselves", "mid", []CachedCertificate{signed(t, mid, newHost(t, tock))}, false, EventVFY},
		{"loop of two", "mid", []CachedCertificate{signed(t, mid, low), signed(t, low, mid)}, false, EventVFY},
		{"older than its filestamp", "tick", []CachedCertificate{future}, false, EventVFY},
		{"private", "tick", []CachedCertificate{{&private, testMade}}, false, EventVFY},
	} {
		t.Run(c.name, func(t *testing.T) {
			var tr trail
			tr.reset(c.want)
			for i, cert := range c.add {
				complete, ev, err := tr.add(cert, "tock", policy)
				if last := i == len(c.add)-1; !last {
					if err != nil || complete {
						t.Fatalf("certificate %d: %v %v", i, complete, err)
					}
				} else if complete != c.ok || ev != c.ev || (err == nil) != c.ok {
					t.Errorf("complete %v, event %v, %v", complete, ev, err)
				}
			}
		})
	}
}

func TestTrailIsBounded(t *testing.T) {
	policy := keyfile.DefaultPolicy()
	var tr trail
	tr.reset("host0")
	for i := range 100 {
		h := newHost(t, hostSpec{name: fmt.Sprintf("host%d", i)})
		by := newHost(t, hostSpec{name: fmt.Sprintf("host%d", i+1)})
		if _, ev, err := tr.add(signed(t, h, by), "tock", policy); err != nil {
			if i+1 != maxTrail || ev != EventVFY {
				t.Errorf("certificate %d: %v %v", i+1, ev, err)
			}
			return
		}
	}
	t.Error("a trail of 100 certificates")
}
