package migration

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"ntsbridge/bridge/fleet/history"
	"ntsbridge/bridge/fleet/steer"
	"ntsbridge/bridge/statedir"
)

// Open goes on from what is in the state directory. Files that cannot be read
// or written are logged: then no step begins, and nobody is refused whom the
// state does not tell.
func Open(opt Options, now time.Time) *Migration {
	m := &Migration{opt: opt, started: now, end: make(chan struct{})}
	m.notifier.start(opt.Log, opt.NoPrograms)
	m.openHistory(now)
	kept := m.readState()
	m.c = steer.New(m.environment(), kept, m.moment(now))
	m.resolved = now
	return m
}

func (m *Migration) openHistory(now time.Time) {
	path := filepath.Join(m.opt.Dir, HistoryFile)
	var told []string
	m.history, told, m.broken = history.Open(path, now)
	for _, t := range told {
		m.opt.Log.Error("fleet: the history was mended", "file", path, "found", t)
	}
	if m.broken != nil {
		m.opt.Log.Error("fleet: the history cannot be opened: no step begins", "file", path, "error", m.broken)
	}
}

func (m *Migration) readState() *steer.State {
	path := filepath.Join(m.opt.Dir, StateFile)
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	var s *steer.State
	if err == nil {
		s, err = steer.ParseState(text)
	}
	if err != nil {
		aside := fmt.Sprintf("%s.damaged-%s", path, m.started.UTC().Format("20060102T150405"))
		m.opt.Log.Error("fleet: the state cannot be read, so nobody is refused; declare the plan again", "file", path, "error", err,
			"moved_to", aside, "renamed", os.Rename(path, aside))
		return nil
	}
	return s
}

func (m *Migration) environment() steer.Environment {
	path := filepath.Join(m.opt.Dir, StateFile)
	return steer.Environment{Each: m.opt.Each, Where: m.where, Gates: m.gates, Ours: m.opt.Ours, Enforce: m.opt.Enforce, Key: m.key(),
		Keep:   func(text []byte) error { return statedir.Write(path, text, statedir.Secret) },
		Forget: func() error { return os.Remove(path) },
		Record: func(e *history.Entry) error {
			if m.history == nil {
				return m.broken
			}
			return m.history.Append(e)
		},
		Tell: m.tell, Admit: m.admit}
}

// key reads the key of canaries, or makes it.
func (m *Migration) key() []byte {
	path := filepath.Join(m.opt.Dir, keyFile)
	key, err := statedir.ReadSecret(path)
	if err == nil && len(key) >= 16 {
		return key
	}
	key = make([]byte, 32)
	_, _ = rand.Read(key) // it ends the program if it fails
	if err := statedir.Write(path, key, statedir.Secret); err != nil {
		m.opt.Log.Error("fleet: the key of canaries cannot be kept: other clients are chosen after a restart", "error", err)
	}
	return key
}

// Run does what is due, each second, until Close.
func (m *Migration) Run() {
	m.wait.Go(func() {
		ticker := time.NewTicker(time.Second)
		defer ticker.Stop()
		for {
			select {
			case <-m.end:
				return
			case now := <-ticker.C:
				m.Tick(now)
			}
		}
	})
}

// Tick does what is due.
func (m *Migration) Tick(now time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.history == nil {
		m.openHistory(now)
	}
	if p, _, _ := m.c.Plan(); p != nil && now.Sub(m.resolved) > resolveInterval {
		m.resolved = now
		if namesAutokey(p) {
			m.c.Resolve(m.moment(now))
		}
	}
	at := m.moment(now)
	m.beforeTick(at)
	m.c.Tick(at)
	m.afterTick()
}

// Close ends it; a step that runs is ended by the next start.
func (m *Migration) Close() error {
	close(m.end)
	m.wait.Wait()
	m.notifier.stop()
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.history == nil {
		return nil
	}
	return m.history.Close()
}
