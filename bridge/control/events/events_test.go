package events

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"
)

func TestLog(t *testing.T) {
	l := New(10, time.Unix(1, 0))
	place, gap, err := l.Place("")
	if place != 0 || gap || err != nil {
		t.Fatal(place, gap, err)
	}
	_, _, _, more, _ := l.After(place)
	l.Add(Event{Kind: Source, Text: "one"})
	select {
	case <-more:
	default:
		t.Fatal("nobody is told")
	}
	list, lost, end, _, over := l.After(place)
	if len(list) != 1 || lost != 0 || end != 1 || over || list[0].Text != "one" {
		t.Fatal(list, lost, end, over)
	}
	first := list[0].ID
	for n := range 25 {
		l.Add(Event{Kind: Reload, Text: fmt.Sprint(n)})
	}
	place, gap, err = l.Place(first)
	if place != 1 || gap || err != nil {
		t.Fatal(place, gap, err)
	}
	list, lost, end, _, _ = l.After(place)
	if len(list) != 10 || lost != 15 || end != 26 || list[0].Text != "15" || list[9].Text != "24" {
		t.Fatal(list, lost, end)
	}
	if g := l.Gap(lost, end-10, time.Now()); g.Lost != 15 || !strings.Contains(g.Text, "15 events") {
		t.Error(g)
	}
	if recent := l.Recent(3); len(recent) != 3 || recent[0].Text != "24" || recent[2].Text != "22" {
		t.Error(recent)
	}
	if recent := l.Recent(100); len(recent) != 10 {
		t.Error(recent)
	}
}

// Who comes back after a restart learns that it is one; who asks nonsense is
// told.
func TestPlaces(t *testing.T) {
	before, l := New(10, time.Unix(1, 0)), New(10, time.Unix(2, 0))
	before.Add(Event{})
	l.Add(Event{})
	old := before.Recent(1)[0].ID
	if place, gap, err := l.Place(old); place != 0 || !gap || err != nil {
		t.Error(place, gap, err)
	}
	if place, gap, err := l.Place("0"); place != 0 || gap || err != nil {
		t.Error(place, gap, err)
	}
	for _, id := range []string{"x", "x-y", "-", "1-" + strings.Repeat("0", 100), strings.Replace(old, "-", "-a", 1)} {
		if _, _, err := l.Place(id); err == nil {
			t.Errorf("%q is taken", id)
		}
	}
}

// Listeners come and go while events do; the slow ones hold nobody.
func TestListeners(t *testing.T) {
	l := New(16, time.Unix(1, 0))
	var wait sync.WaitGroup
	for range maxListeners {
		leave, err := l.Join()
		if err != nil {
			t.Fatal(err)
		}
		wait.Go(func() {
			defer leave()
			place := uint64(0)
			for {
				list, lost, end, more, over := l.After(place)
				if end != place+lost+uint64(len(list)) {
					t.Errorf("%d, lost %d, %d events: %d", place, lost, len(list), end)
				}
				if place = end; over {
					return
				}
				if len(list) == 0 {
					<-more
				}
			}
		})
	}
	if _, err := l.Join(); err != ErrCrowded {
		t.Error(err)
	}
	for n := range 5000 {
		l.Add(Event{Text: fmt.Sprint(n)})
	}
	l.Close()
	l.Close()
	wait.Wait()
	if listeners, total, _ := l.Figures(); listeners != 0 || total != 5000 {
		t.Error(listeners, total)
	}
}

func TestTextIsBounded(t *testing.T) {
	l := New(2, time.Unix(1, 0))
	l.Add(Event{Text: strings.Repeat("ü", maxText)})
	if e := l.Recent(1)[0]; len(e.Text) > maxText+3 || !utf8.ValidString(e.Text) {
		t.Error(len(e.Text))
	}
}
