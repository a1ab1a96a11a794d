package site

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"ntsbridge/bridge/statedir"
)

// KeptFile is the file of the state directory with what was last agreed.
const KeptFile = "fleet-site.json"

// maxWaiting bounds the orders that wait; there is one of each group.
const maxWaiting = 1000

func (s *Site) readKept() {
	path := filepath.Join(s.opt.Dir, KeptFile)
	text, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(text, &s.kept)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		s.opt.Log.Error("site: what was agreed cannot be read; it is read from etcd anew", "file", path, "error", err)
		s.kept = kept{}
	}
	if s.kept.ID == "" {
		var id [8]byte
		_, _ = rand.Read(id[:]) // it ends the program if it fails
		s.kept.ID = hex.EncodeToString(id[:])
		s.keep()
	}
}

// keep writes it. The mutex is held, or nothing runs yet.
func (s *Site) keep() {
	text, err := json.Marshal(&s.kept)
	if err == nil {
		err = statedir.Write(filepath.Join(s.opt.Dir, KeptFile), text, statedir.Secret)
	}
	if s.unkept = err; err != nil {
		s.opt.Log.Error("site: what was agreed cannot be kept; it is read from etcd after a restart", "error", err)
	}
}
