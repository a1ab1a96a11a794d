package statedir

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
)

// markerName is the file of the state directory that lists, a path a line, the
// files that earlier starts made or read.
const markerName = "files-made"

// maxFileLen is the longest file of value that is read, octets.
const maxFileLen = 4 << 20

// File is a file of value.
type File struct {
	Path string
	What string // such as "cookie secret", for messages
	Mode fs.FileMode
	// Loss says what a new one would mean, such as "every NTS client does one
	// new key establishment".
	Loss string
	// Make makes the first contents.
	Make func() ([]byte, error)
}

// LostError says that a file which an earlier start had is gone.
type LostError struct {
	File   File
	Marker string
}

// Error names the remedy.
func (e *LostError) Error() string {
	return fmt.Sprintf("%s: %s is gone, and an earlier start had it; restore it from a backup (or copy it from another gateway), "+
		"or delete its line from %s to have a new one made: %s", e.File.What, e.File.Path, e.Marker, e.File.Loss)
}

// Store is a state directory, with what is to be written to it.
type Store struct {
	dir     string
	starts  bool     // nothing else of this process writes to the directory yet
	marked  []string // paths, as in the marker
	mu      sync.Mutex
	known   map[string][]byte // contents by path: of what runs and of what this load saw; under mu
	seen    map[string]bool   // by this load
	pending []pending
	notices []string
}

type pending struct {
	file    File
	content []byte
}

// Open looks at a state directory, which need not be there. previous is the
// store of what runs, nil at a start.
func Open(dir string, previous *Store) (*Store, error) {
	s := &Store{dir: dir, starts: previous == nil, known: make(map[string][]byte), seen: make(map[string]bool)}
	if previous != nil {
		previous.mu.Lock()
		s.known = maps.Clone(previous.known)
		previous.mu.Unlock()
	}
	text, err := read(s.Marker())
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("state directory: %w", err)
	}
	for line := range strings.Lines(string(text)) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			s.marked = append(s.marked, line)
		}
	}
	return s, nil
}

// Marker returns the path of the list of files that earlier starts had.
func (s *Store) Marker() string { return filepath.Join(s.dir, markerName) }

// Path returns the path of a file in the directory.
func (s *Store) Path(name string) string { return filepath.Join(s.dir, name) }

// Load returns the contents of a file of value; made says that they are new and
// not written yet. Of a secret only its owner may be able to read the file. Make
// may load other files.
func (s *Store) Load(f File) (content []byte, made bool, err error) {
	content, err = s.read(f)
	s.mu.Lock()
	was := s.known[f.Path]
	s.mu.Unlock()
	switch {
	case err == nil:
	case !errors.Is(err, fs.ErrNotExist):
		return nil, false, fmt.Errorf("%s: %w", f.What, err)
	case was != nil:
		content = was
		s.pending = append(s.pending, pending{f, content})
		s.notices = append(s.notices, fmt.Sprintf("%s: %s was gone and is written back from memory", f.What, f.Path))
	case slices.Contains(s.marked, f.Path):
		return nil, false, &LostError{f, s.Marker()}
	default:
		if content, err = f.Make(); err != nil {
			return nil, false, fmt.Errorf("%s: %w", f.What, err)
		}
		made = true
		s.pending = append(s.pending, pending{f, content})
	}
	s.mu.Lock()
	s.known[f.Path], s.seen[f.Path] = content, true
	s.mu.Unlock()
	return content, made, nil
}

// First reports whether Load would make the file: no start ever had it.
func (s *Store) First(f File) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, err := os.Lstat(f.Path)
	return errors.Is(err, fs.ErrNotExist) && s.known[f.Path] == nil && !slices.Contains(s.marked, f.Path)
}

// ErrChanged says that a file has other contents than those that were loaded.
var ErrChanged = errors.New("somebody else changed it; it is left as it is, and the next reload reads it")

// Update replaces what was loaded of a file by contents that follow from it.
// ours reports whether other contents than those, found in the file, are older
// or newer ones of the same kind; others are left as they are. A file that is
// gone is written again if it was loaded as one of value.
func (s *Store) Update(f File, content []byte, ours func(found []byte) bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	found, err := s.read(f)
	switch {
	case errors.Is(err, fs.ErrNotExist) && !s.seen[f.Path]:
		return nil // it may be deleted
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return fmt.Errorf("%s: %w", f.What, err)
	case bytes.Equal(found, content):
		return nil
	case !bytes.Equal(found, s.known[f.Path]) && !ours(found):
		return fmt.Errorf("%s: %s: %w", f.What, f.Path, ErrChanged)
	}
	if err := Write(f.Path, content, f.Mode); err != nil {
		return fmt.Errorf("%s: %w", f.What, err)
	}
	if s.seen[f.Path] {
		s.known[f.Path] = content
	}
	return nil
}

// read reads a file as its mode demands.
func (s *Store) read(f File) ([]byte, error) {
	if f.Mode == Secret {
		return ReadSecret(f.Path)
	}
	return read(f.Path)
}

// Notices returns what a load did that somebody should know.
func (s *Store) Notices() []string { return s.notices }

// Pending reports whether Commit has a file to write.
func (s *Store) Pending() bool { return len(s.pending) > 0 || !s.markerComplete() }

// Commit makes what was made lasting: the files, then the marker. At a start it
// removes what an earlier one left half done; later that may be what another
// part of the daemon is just writing.
func (s *Store) Commit() error {
	if s.starts {
		s.clean()
	}
	for _, p := range s.pending {
		if err := Write(p.file.Path, p.content, p.file.Mode); err != nil {
			return fmt.Errorf("%s: %w", p.file.What, err)
		}
	}
	s.pending = nil
	if s.markerComplete() {
		return nil
	}
	return s.mark()
}

func (s *Store) markerComplete() bool {
	for path := range s.seen {
		if !slices.Contains(s.marked, path) {
			return false
		}
	}
	return true
}

// mark writes the marker.
func (s *Store) mark() error {
	for path := range s.seen {
		if !slices.Contains(s.marked, path) {
			s.marked = append(s.marked, path)
		}
	}
	slices.Sort(s.marked)
	var text bytes.Buffer
	text.WriteString("# Files that an earlier start made or read. One that is gone is never made anew in\n" +
		"# silence: restore it from a backup, or delete its line here to have a new one made.\n")
	for _, path := range s.marked {
		fmt.Fprintln(&text, path)
	}
	return Write(s.Marker(), text.Bytes(), Secret)
}

// clean removes what writers that were killed left: of files in this directory,
// and of the files of value elsewhere.
func (s *Store) clean() {
	dirs := map[string]bool{s.dir: true}
	for path := range s.seen {
		dirs[filepath.Dir(path)] = true
	}
	for dir := range dirs {
		cleanDir(dir, func(of string) bool { return dir == s.dir || s.seen[of] })
	}
}

// Clean removes what writers that were killed left in a directory, of the named
// files or, if none is named, of all. Nobody may be writing to it.
func Clean(dir string, paths ...string) {
	cleanDir(dir, func(of string) bool { return len(paths) == 0 || slices.Contains(paths, of) })
}

func cleanDir(dir string, ours func(of string) bool) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return
	}
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		if of := temporaryOf(path); of != "" && ours(of) {
			_ = os.Remove(path)
		}
	}
}

// temporaryOf returns the path of the file that a temporary one was to become,
// empty if it is none of ours.
func temporaryOf(path string) string {
	name := filepath.Base(path)
	of, number, ok := cutLast(name, temporaryMark)
	if !ok || len(of) < 2 || of[0] != '.' || number == "" || strings.Trim(number, "0123456789") != "" {
		return ""
	}
	return filepath.Join(filepath.Dir(path), of[1:])
}

func cutLast(s, sep string) (before, after string, found bool) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(sep):], true
}

// ReadSecret reads a file that nobody but its owner may read. What systemd hands
// over by LoadCredential seems to be its group's, by the mask of the access list
// that lets the service read it.
func ReadSecret(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	refused := fs.FileMode(0o077)
	if filepath.Dir(path) == os.Getenv("CREDENTIALS_DIRECTORY") {
		refused = 0o037
	}
	if info.Mode().Perm()&refused != 0 {
		return nil, fmt.Errorf("%s is readable by others (mode %04o); chmod 600 it", path, info.Mode().Perm())
	}
	return read(path)
}

// read reads a file that is not too long.
func read(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	content, err := io.ReadAll(io.LimitReader(f, maxFileLen+1))
	if err == nil && len(content) > maxFileLen {
		err = fmt.Errorf("%s is larger than %d octets; is it the right file?", path, maxFileLen)
	}
	return content, err
}
