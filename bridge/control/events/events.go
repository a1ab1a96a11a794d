package events

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode/utf8"
)

// Kind is what an event is about.
type Kind string

// The kinds.
const (
	Stage       Kind = "stage"       // a plan was declared, a stage reached, held, resumed or rolled back
	Window      Kind = "window"      // a step begins to refuse, watches, or ends
	Hurt        Kind = "hurt"        // clients of a running step are hurt
	Source      Kind = "source"      // a source of time has another state
	Clock       Kind = "clock"       // the clock became synchronised, or is so no longer
	Certificate Kind = "certificate" // other certificates are in use, or one has a problem
	Reload      Kind = "reload"      // the configuration was read again
	Lost        Kind = "lost"        // events were overwritten before this listener read them
)

// Event is something that happened. What does not belong to its kind is empty.
type Event struct {
	ID   string    `json:"id"`
	Time time.Time `json:"time"`
	Kind Kind      `json:"kind" oneof:"stage window hurt source clock certificate reload lost"`
	// What is a word for programs: that of the migration's history, a source's
	// state, done or failed of a reload.
	What    string   `json:"what"`
	Text    string   `json:"text"` // a sentence for people
	Group   string   `json:"group,omitempty"`
	Means   string   `json:"means,omitempty"`
	Stage   string   `json:"stage,omitempty"`
	Step    uint32   `json:"step,omitempty"`
	By      string   `json:"by,omitempty"`
	Source  string   `json:"source,omitempty"`
	File    string   `json:"file,omitempty"`
	Clients []string `json:"clients,omitempty"` // who is hurt, the first ones
	Lost    uint64   `json:"lost,omitempty"`    // how many events
}

// maxText bounds a sentence, octets.
const maxText = 1000

// Log is safe for concurrent use. A nil one takes and has nothing.
type Log struct {
	epoch string
	size  int

	mu        sync.Mutex
	ring      []Event // of numbers up to next
	next      uint64  // number of the next event, from 1
	changed   chan struct{}
	closed    bool
	listeners int
	lost      uint64
}

// New makes a log that keeps so many events of a daemon that was started then.
func New(size int, started time.Time) *Log {
	return &Log{epoch: strconv.FormatInt(started.UnixMilli(), 36), size: size, next: 1, changed: make(chan struct{})}
}

// Add takes an event, and gives it an identifier. It never waits for listeners.
func (l *Log) Add(e Event) {
	if l == nil {
		return
	}
	if len(e.Text) > maxText {
		e.Text = e.Text[:maxText]
		for !utf8.ValidString(e.Text) && e.Text != "" {
			e.Text = e.Text[:len(e.Text)-1]
		}
		e.Text += "..."
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	e.ID, e.Time = l.id(l.next), e.Time.UTC()
	if len(l.ring) < l.size {
		l.ring = append(l.ring, e)
	} else {
		l.ring[(l.next-1)%uint64(l.size)] = e
	}
	l.next++
	close(l.changed)
	l.changed = make(chan struct{})
}

func (l *Log) id(n uint64) string { return fmt.Sprintf("%s-%d", l.epoch, n) }

// maxID bounds what is taken for an identifier, octets.
const maxID = 64

// Place returns behind which event a listener goes on that had the one with an
// identifier last, and whether others were before it that nobody knows of any
// more. Empty: it is new, and what comes from now on is for it.
func (l *Log) Place(id string) (after uint64, gap bool, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if id == "" {
		return l.next - 1, false, nil
	}
	if id == "0" {
		return 0, false, nil
	}
	epoch, number, ok := strings.Cut(id, "-")
	after, errNumber := strconv.ParseUint(number, 10, 64)
	if !ok || len(id) > maxID || errNumber != nil {
		return 0, false, errors.New("that is no identifier of an event; 0 is before the first one that is kept")
	}
	if epoch != l.epoch || after >= l.next {
		return 0, true, nil
	}
	return after, false, nil
}

// maxBatch is how many events a listener gets at once.
const maxBatch = 64

// After returns events behind a place, at most maxBatch, how many were
// overwritten before them, and the place that they end at. Without events, more
// is closed when there are some. over: the log is closed.
func (l *Log) After(place uint64) (list []Event, lost, end uint64, more <-chan struct{}, over bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	oldest := l.next - uint64(len(l.ring)) // number of it
	if place+1 < oldest {
		lost = oldest - place - 1
		l.lost += lost
		place = oldest - 1
	}
	for n := place + 1; n < l.next && len(list) < maxBatch; n++ {
		list = append(list, l.ring[(n-1)%uint64(l.size)])
	}
	return list, lost, place + uint64(len(list)), l.changed, l.closed
}

// Gap is the event that tells a listener of what it did not get. It has the
// identifier of the place behind it.
func (l *Log) Gap(lost, place uint64, now time.Time) Event {
	e := Event{ID: l.id(place), Time: now.UTC(), Kind: Lost, What: "lost", Lost: lost,
		Text: fmt.Sprintf("%d events were overwritten before they were read: ask for the reports again", lost)}
	if lost == 0 {
		e.Text = "the daemon was started again meanwhile: ask for the reports again"
	}
	return e
}

// Recent returns the newest events, at most so many, the newest first.
func (l *Log) Recent(most int) (list []Event) {
	if l == nil {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for n := l.next - 1; n > 0 && n >= l.next-uint64(len(l.ring)) && len(list) < most; n-- {
		list = append(list, l.ring[(n-1)%uint64(l.size)])
	}
	return list
}

// maxListeners bounds those who listen at a time.
const maxListeners = 128

// ErrCrowded says that too many listen already.
var ErrCrowded = fmt.Errorf("%d listen to events already: end one, or ask again later", maxListeners)

// Join counts a listener in; leave counts it out.
func (l *Log) Join() (leave func(), err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.listeners >= maxListeners {
		return nil, ErrCrowded
	}
	l.listeners++
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.listeners--
	}, nil
}

// Figures are for metrics: who listens, events so far, and how many events
// listeners did not get.
func (l *Log) Figures() (listeners int, total, lost uint64) {
	if l == nil {
		return 0, 0, 0
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.listeners, l.next - 1, l.lost
}

// Close ends all listeners.
func (l *Log) Close() {
	if l == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.closed {
		l.closed = true
		close(l.changed)
		l.changed = make(chan struct{})
	}
}
