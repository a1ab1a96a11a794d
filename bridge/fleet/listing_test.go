package fleet

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"ntsbridge/bridge/fleet/report"
	"ntsbridge/bridge/ntp"
)

func (f *Fleet) see(n uint32) {
	d := f.Attach()
	r, v := request(n, ntp.KindSymmetric, 5, ntp.ReasonOK)
	note(d, r, v)
	f.Detach(d)
	f.Drain()
}

// pages reads a list in parts and returns who was on it.
func pages(t *testing.T, f *Fleet, filter *report.Filter, size int, between func(part int)) (list []string) {
	t.Helper()
	cursor := ""
	for part := 0; ; part++ {
		p, err := f.Page(context.Background(), filter, cursor, size, func(r *report.Row) error {
			list = append(list, r.Address)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if p.Next == "" {
			return list
		}
		cursor = p.Next
		between(part)
	}
}

// Who is on a list is told once, whoever comes or asks again while it is read,
// and also where the list itself was forgotten.
func TestPagesAreStable(t *testing.T) {
	for _, sort := range report.Sorts {
		for _, forget := range []bool{false, true} {
			t.Run(fmt.Sprint(sort, forget), func(t *testing.T) {
				f := open(t, Config{Clients: 2000}, nil)
				for n := range uint32(95) {
					f.see(2 * n)
				}
				moves := !forget // a list made anew has another order if the clients have moved
				list := pages(t, f, &report.Filter{Sort: sort}, 10, func(part int) {
					if moves {
						f.see(uint32(2 * (94 - part)))
						f.see(uint32(2*part + 1))
					}
					if forget {
						f.listings.expire(time.Now().Add(time.Hour))
					}
				})
				seen := map[string]bool{}
				for _, a := range list {
					if seen[a] {
						t.Errorf("%s twice", a)
					}
					seen[a] = true
				}
				if len(list) != 95 {
					t.Errorf("%d of 95 clients", len(list))
				}
			})
		}
	}
}

func TestPagesBack(t *testing.T) {
	f := open(t, Config{Clients: 2000}, nil)
	for n := range uint32(25) {
		f.see(n)
	}
	nobody := func(*report.Row) error { return nil }
	ask := func(cursor string) *report.Part {
		t.Helper()
		p, err := f.Page(context.Background(), &report.Filter{}, cursor, 10, nobody)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	first := ask("")
	second := ask(first.Next)
	third := ask(second.Next)
	if first.Prev != "" || second.First != 10 || third.First != 20 || third.Next != "" || third.Total != 25 {
		t.Errorf("%+v %+v %+v", first, second, third)
	}
	if back := ask(third.Prev); back.First != 10 || back.Next == "" || ask(back.Prev).First != 0 {
		t.Errorf("%+v", back)
	}
	p, err := f.Page(context.Background(), &report.Filter{Address: netip.MustParseAddr("10.0.0.7")}, "", 10, nobody)
	if err != nil || p.Total != 1 {
		t.Errorf("%+v, %v", p, err)
	}
}

func TestPagesRefused(t *testing.T) {
	f := open(t, Config{Clients: 2000}, nil)
	for n := range uint32(25) {
		f.see(n)
	}
	nobody := func(*report.Row) error { return nil }
	p, err := f.Page(context.Background(), &report.Filter{}, "", 10, nobody)
	if err != nil {
		t.Fatal(err)
	}
	for _, cursor := range []string{"x", "AAAA", p.Next + "A", p.Next[:20]} {
		if _, err := f.Page(context.Background(), &report.Filter{}, cursor, 10, nobody); !errors.Is(err, ErrCursor) {
			t.Errorf("%q: %v", cursor, err)
		}
	}
	if _, err := f.Page(context.Background(), &report.Filter{LegacyOnly: true}, p.Next, 10, nobody); !errors.Is(err, ErrCursor) {
		t.Errorf("of another filter: %v", err)
	}
	for _, size := range []int{-1, 0, report.MaxPart + 1} {
		if _, err := f.Page(context.Background(), &report.Filter{}, "", size, nobody); err == nil {
			t.Errorf("size %d", size)
		}
	}
}

// However many lists are begun, what is kept of them is bounded.
func TestListingsAreBounded(t *testing.T) {
	var s listings
	for n := range 100 {
		s.keep(&listing{id: uint64(n), rows: make([]listed, maxListed/10)})
	}
	if len(s.list) != 10 || s.find(99, 0, time.Now()) == nil || s.find(89, 0, time.Now()) != nil {
		t.Errorf("%d lists", len(s.list))
	}
	for n := range 100 {
		s.keep(&listing{id: uint64(100 + n), rows: make([]listed, 1)})
	}
	if len(s.list) != maxListings {
		t.Errorf("%d lists", len(s.list))
	}
}

func FuzzCursor(f *testing.F) {
	f.Add((&cursor{List: 1, Of: 2, Index: 3, Behind: true, Order: [2]uint64{4, 5}, Mark: 6}).String())
	f.Add((&cursor{}).String())
	f.Add("")
	f.Fuzz(func(t *testing.T, s string) {
		if c, err := parseCursor(s); err == nil && c.String() != s {
			t.Errorf("%q is %+v", s, c)
		}
	})
}
