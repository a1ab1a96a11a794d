package site

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"reflect"
	"slices"
	"testing"

	"ntsbridge/bridge/fleet/inventory"
	"ntsbridge/bridge/ntp"
)

const noon = 1_800_000_000 / day * day // some midnight

// client makes a row as the inventory has it.
func client(prefix string, means ...inventory.Means) *inventory.Client {
	p := netip.MustParsePrefix(prefix)
	c := &inventory.Client{Prefix: p, Hosts: 1, Addresses: 1, Means: means}
	a := p.Addr().As16()
	copy(c.Key[:], a[:])
	if c.Key[16] = byte(p.Bits()); p.Addr().Is4() {
		c.Key[16] += 96
	}
	for i := range means {
		c.Last = max(c.Last, means[i].Last)
	}
	return c
}

func someFacts(random *rand.Rand, n int) (list []fact) {
	for i := range n {
		c := client(fmt.Sprintf("10.%d.%d.%d/32", i>>16&255, i>>8&255, i&255))
		switch i % 7 {
		case 5:
			c = client(fmt.Sprintf("2001:db8::%x/128", i))
		case 6:
			c = client(fmt.Sprintf("2001:db8:%x::/64", i%65536))
			c.Group = "payments"
		}
		for k := range 1 + random.IntN(3) {
			last := noon - day*random.Uint32N(300)
			m := inventory.Means{Kind: ntp.Kind(k), Key: random.Uint32N(1 << 16), Proved: i%2 == 0, Answered: uint32(i % 3), Last: last,
				First: last - day*random.Uint32N(300), Program: []string{"", "chrony", "ntpd"}[i%3], ZeroSeed: i%11 == 0}
			if i%3 > 0 {
				m.Served = last - day*random.Uint32N(2)
			}
			c.Means = append(c.Means, m)
		}
		list = append(list, newFact(c))
	}
	return list
}

// What is encoded is decoded to the same, in some 15 octets a client.
func TestFacts(t *testing.T) {
	list := someFacts(rand.New(rand.NewPCG(1, 2)), 5000)
	text := encode(list)
	got, err := decode(text)
	if err != nil || !reflect.DeepEqual(got, list) {
		t.Fatalf("%v; %v\n%v", err, got[:2], list[:2])
	}
	if again := encode(got); !bytes.Equal(again, text) {
		t.Error("the same clients, other octets")
	}
	t.Logf("%.1f octets a client of two means", float64(len(text))/5000)
	for n := range 200 {
		if _, err := decode(text[:n]); err == nil && n > 0 {
			t.Errorf("the first %d octets are whole", n)
		}
	}
	if list, err := decode(nil); list != nil || err != nil {
		t.Error(list, err)
	}
}

// A day counts to its end, but not beyond now; a day that has not come is not
// believed; what only others know is marked.
func TestMerge(t *testing.T) {
	now := uint32(noon + 3600)
	own := client("192.0.2.1/32", inventory.Means{Kind: ntp.KindSymmetric, Key: 5, First: noon - 10*day, Last: noon - 9*day, Served: noon - 9*day, Answered: 7,
		Program: "ntpd"})
	other := client("192.0.2.1/32",
		inventory.Means{Kind: ntp.KindSymmetric, Key: 5, First: noon - 20*day, Last: noon + 60,
			Served: noon + 60, Answered: 1, Proved: true},
		inventory.Means{Kind: ntp.KindNTS, Key: 15, First: noon - 2*day, Last: noon - day, Served: noon - day, Answered: 3, Proved: true,
			Program: "chrony"},
		inventory.Means{Kind: ntp.KindNone, First: noon + 40*day, Last: noon + 41*day})
	f := newFact(other)
	f.merge(own, now)
	if len(own.Means) != 2 || own.Last != now {
		t.Fatalf("%+v", own)
	}
	k, n := own.Means[0], own.Means[1]
	if k.Away || k.First != noon-19*day-1 || k.Last != now || k.Served != now || k.Answered != 7 || !k.Proved || k.Program != "ntpd" {
		t.Errorf("%+v", k)
	}
	if !n.Away || n.Last != noon-1 || n.First != noon-day-1 || !n.Proved || n.Answered != 1 || n.Program != "chrony" {
		t.Errorf("%+v", n)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(encode(someFacts(rand.New(rand.NewPCG(1, 2)), 20)))
	f.Add([]byte{1, 0, 1, 0, 10, 0, 0, 1, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		list, err := decode(b)
		if err != nil {
			return
		}
		var c inventory.Client
		for i := range list {
			list[i].merge(&c, noon)
			_ = list[i].prefix()
		}
	})
}

// decode reads a bucket.
func decode(b []byte) (list []fact, err error) {
	_, err = readBucket(b, func(_ int, f *fact) {
		c := *f
		c.means = slices.Clone(f.means)
		list = append(list, c)
	})
	if err != nil {
		return nil, err
	}
	return list, nil
}
