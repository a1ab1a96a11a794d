package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"ntsbridge/bridge/config"
	"ntsbridge/bridge/control"
	"ntsbridge/bridge/fleet/gate"
	"ntsbridge/bridge/fleet/history"
	"ntsbridge/bridge/fleet/migration"
)

// keyNotes writes what is done to a symmetric key into the history of the
// migration, before it is done: what cannot be written down is not done.
type keyNotes struct {
	cfg      *config.Config
	id       uint32
	reason   string
	evidence json.RawMessage
}

func newKeyNotes(cfg *config.Config, id uint32, reason string, gates []gate.Result) (*keyNotes, error) {
	evidence, err := json.Marshal(map[string]any{"gates": gates})
	return &keyNotes{cfg, id, reason, evidence}, err
}

// write asks the daemon, whose history it is; without one it is written here.
func (k *keyNotes) write(what string) error {
	request := &migration.Request{Do: migration.KeyNote, What: what, Key: k.id, Reason: k.reason, Evidence: k.evidence}
	_, err := control.NewClient(k.cfg.Control.Socket).AskFleet(request)
	if errors.Is(err, control.ErrNoAnswer) || errors.Is(err, control.ErrNoInventory) {
		err = k.writeHere(what)
	}
	if err != nil {
		return fmt.Errorf("nothing is done, since the history of the migration cannot be written: %w", err)
	}
	return nil
}

func (k *keyNotes) writeHere(what string) error {
	dir, err := os.Stat(k.cfg.StateDir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // no daemon has ever run with this configuration
	}
	if err != nil {
		return err
	}
	path := filepath.Join(k.cfg.StateDir, migration.HistoryFile)
	now := time.Now()
	f, _, err := history.Open(path, now)
	if err != nil {
		return err
	}
	entry := &history.Entry{Time: now, Who: fmt.Sprintf("user %d, no daemon", os.Getuid()), What: what, Means: "symmetric", Key: k.id,
		Why: k.reason, Evidence: k.evidence}
	return errors.Join(f.Append(entry), f.Close(), sameOwner(path, dir))
}

// during writes what is to be done, does it, and writes it if that did not come
// about.
func (k *keyNotes) during(what string, do func() error) error {
	if err := k.write(what); err != nil {
		return err
	}
	err := do()
	if err != nil {
		k.reason = err.Error()
		err = errors.Join(err, k.write(history.KeyKept))
	}
	return err
}

// stageGate is the gate of a key that the plan of the migration shuts.
func stageGate(cfg *config.Config, id uint32) (gate.Result, error) {
	a, err := control.NewClient(cfg.Control.Socket).AskFleet(&migration.Request{Do: migration.KeyGate, Key: id})
	switch {
	case errors.Is(err, control.ErrNoAnswer), errors.Is(err, control.ErrNoInventory):
		_, err := os.Stat(filepath.Join(cfg.StateDir, migration.StateFile))
		if errors.Is(err, fs.ErrNotExist) {
			return gate.Result{Name: migration.StageGate, Open: true, Evidence: "no plan is declared"}, nil
		}
		return gate.Result{Name: migration.StageGate, Evidence: "no daemon tells in which stages the groups of the plan are"}, nil
	case err != nil:
		return gate.Result{}, err
	case len(a.Gates) != 1:
		return gate.Result{}, errors.New("the daemon does not tell in which stages the groups of the plan are")
	}
	return a.Gates[0], nil
}
