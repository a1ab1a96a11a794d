package site

import (
	"context"
	"fmt"
	"hash/maphash"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"

	"ntsbridge/bridge/config"
	"ntsbridge/bridge/fleet/history"
	"ntsbridge/bridge/fleet/inventory"
)

// Options are what a site works with.
type Options struct {
	Etcd config.Etcd
	Dir  string // state directory
	// Each gives every client of this gateway to see.
	Each func(see func(*inventory.Client)) error
	// About tells of this gateway.
	About func(now time.Time) About
	// History is the record of this gateway, nil: it cannot be opened now.
	History func() *history.File
	// Secrets hands out cookie secret and Autokey seed; nil: they are left to files.
	Secrets *Secrets
	Log     hclog.Logger
	Now     func() time.Time // the system clock; nil: time.Now
}

// Site is this gateway among the others. Its methods are safe for concurrent
// use; of a nil Site they say that this gateway is alone.
type Site struct {
	opt    Options
	ctx    context.Context
	cancel context.CancelFunc
	done   chan struct{}
	wake   chan struct{}
	seed   maphash.Seed
	start  time.Time
	asked  askedFigures

	mu       sync.Mutex
	kept     kept
	unkept   error
	live     *session // nil: etcd is away
	lease    *lease   // the last one, nil: there was none
	since    time.Time
	why      error            // it is away
	whys     map[string]error // of each member
	broken   string           // in etcd
	less     bool             // etcd knows less than this gateway of what is shared
	others   map[string]*member
	places   Places // of this gateway, as they are to be told
	lock     string // who has it
	wanted   time.Time
	end      history.End // of the site's history
	merged   merged
	pending  int
	size     int64
	secrets  sealed // as in etcd
	unshared string // why they are not shared
	scheme   string // by which this gateway keeps addresses
}

// askedFigures count requests.
type askedFigures struct {
	sessions, requests, failures, writes atomic.Uint64
	latency, answered                    atomic.Int64
}

// Name is what this gateway is called; empty: it is alone.
func (s *Site) Name() string {
	if s == nil {
		return ""
	}
	return s.opt.Etcd.Name
}

// poke lets the session look what is to be done.
func (s *Site) poke() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// current returns the session, nil: etcd is away.
func (s *Site) current() *session {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.live == nil || !s.live.alive() {
		return nil
	}
	return s.live
}

// soon is current, once the next member is asked if one has just failed.
func (s *Site) soon(ctx context.Context) *session {
	for {
		if n := s.current(); n != nil {
			return n
		}
		s.mu.Lock()
		l := s.lease
		s.mu.Unlock()
		if !l.alive() {
			return nil
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// awayError says why etcd cannot be asked.
func (s *Site) awayError() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	why := s.why
	if why == nil {
		why = fmt.Errorf("it does not answer")
	}
	return fmt.Errorf("%w since %s: %w", ErrAway, s.since.UTC().Format(time.RFC3339), why)
}

func (s *Site) member(name string) *member {
	m := s.others[name]
	if m == nil {
		m = &member{}
		s.others[name] = m
	}
	return m
}

func (s *Site) key(parts ...string) string { return s.opt.Etcd.Prefix + "/" + strings.Join(parts, "") }

func (s *Site) bucketKey(gateway string, n int) string {
	return s.key(dirClients, gateway, fmt.Sprintf("/%03x", n))
}
