package interop

import (
	"fmt"
	"math"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"
	"time"

	"github.com/facebook/time/leaphash"

	"ntsbridge/bridge/ntp"
)

// leapList is a leap-seconds.list, with its hash, that has a leap second to
// come.
func leapList(at time.Time) string {
	seconds := func(t time.Time) uint32 { return ntp.TimestampFromTime(t).Seconds() }
	text := fmt.Sprintf("#$\t%d\n#@\t%d\n2272060800\t10\n3692217600\t37\n%d\t38\n",
		seconds(at.AddDate(0, -1, 0)), seconds(at.AddDate(1, 0, 0)), seconds(at))
	return text + "#h " + leaphash.Compute(text) + "\n"
}

// wrongBy is what chronyd -Q finds: what is to be added to the clock, s.
var wrongBy = regexp.MustCompile(`System clock wrong by (-?[0-9.]+) seconds`)

// TestSmear has a real chronyd and our own query follow a server in the midst
// of smearing a leap second: both see what the standard smear says.
func TestSmear(t *testing.T) {
	t.Parallel()
	n := NewNetwork(t)
	server, client := n.Host("tick"), n.Host("client")
	n.Names()
	// A smear of 48 h around midnight is going on at any time.
	const half = 24 * time.Hour
	at := time.Now().UTC().Truncate(half).Add(half)
	if time.Until(at) < 5*time.Minute {
		at = at.Add(-half) // not while the leap second itself is near
	}
	server.Write("leap-seconds.list", leapList(at))
	server.Write("ntsbridge.yaml", `clock:
  mode: local
  stratum: 3
  leap: {file: leap-seconds.list, smear: 48h}
nts: {enabled: false}
`)
	file, err := build()
	if err != nil {
		t.Fatal(err)
	}
	server.Start("ntsbridge", Program{Path: file}, "serve", "-c", filepath.Join(server.Dir, "ntsbridge.yaml"),
		"--state-dir", filepath.Join(server.Dir, "state"), "--run-dir", filepath.Join(server.Dir, "run"))
	want := func() float64 {
		done := time.Since(at.Add(-half)).Seconds() / (2 * half).Seconds()
		if time.Now().After(at) {
			return 1 - done // the system clock has had the second
		}
		return -done
	}
	near := func(offset float64) error {
		if w := want(); math.Abs(offset-w) > 1e-3 {
			return fmt.Errorf("offset %.6f s, and the smear is at %.6f s", offset, w)
		}
		return nil
	}
	chronyd := client.Start("chronyd", Chronyd46, "-Q", "-x", "-u", "root", "-t", "60", "server tick iburst maxsamples 2",
		"pidfile /mnt/chronyd.pid", "cmdport 0")
	Await(t, clientLimit,
		Condition{"query", func() error {
			r, err := queryOn(client, 20*time.Second, "--samples", "2", "tick")
			if err != nil || r.Offset == nil {
				return fmt.Errorf("%+v: %v", r, err)
			}
			return near(*r.Offset)
		}},
		Condition{"chronyd", func() error {
			m := wrongBy.FindStringSubmatch(chronyd.Log())
			if m == nil {
				return fmt.Errorf("chronyd -Q says %q", chronyd.Log())
			}
			offset, err := strconv.ParseFloat(m[1], 64)
			if err != nil {
				return err
			}
			return near(offset)
		}})
	// Nobody is told of a leap second, and the reference tells of the smear.
	served, err := askTime(client, server.IPv4)
	if err != nil {
		t.Fatal(err)
	}
	if h := served.Header; h.Leap != ntp.LeapNone || h.ReferenceID>>24 != 254 {
		t.Errorf("leap %d, reference %08x: want none, and 254 in front", h.Leap, h.ReferenceID)
	}
}
