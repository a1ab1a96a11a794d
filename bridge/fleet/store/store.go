package store

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"os"
	"runtime/debug"
	"time"

	bolt "go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"

	"ntsbridge/bridge/fleet/inventory"
)

// Schema is the layout that this program writes. An older one is migrated when
// it is opened; a newer one is not touched.
const Schema = 1

// The buckets.
var (
	bucketMeta    = []byte("meta")
	bucketClients = []byte("clients") // inventory.Key: checksum, record
	bucketJournal = []byte("journal") // number: checksum, entries
	bucketWatch   = []byte("watch")   // start: end
)

var (
	keySchema = []byte("schema")
	keyFull   = []byte("full")
)

// The causes of errors.
var (
	// ErrInUse says that another process has the store open.
	ErrInUse = errors.New("the store is in use by another process")
	// ErrNewer says that a later version of this program wrote the store.
	ErrNewer = errors.New("the store was written by a later version of ntsbridge")
	// ErrDamaged says that the file cannot be read as a store.
	ErrDamaged = errors.New("the store is damaged")
)

// lockWait is how long a store that is in use is waited for.
var lockWait = time.Second

// foldOctets is how large the journal may become before Write folds it.
const foldOctets = 16 << 20

// Store is an open store. Its methods must not be called at the same time.
type Store struct {
	path    string
	db      *bolt.DB
	next    uint64 // number of the next journal entry
	octets  int    // of the journal
	journal map[inventory.Key]bool
	started uint32
}

// Report says what opening and reading a store found.
type Report struct {
	Rows       int
	Damaged    int    // records left out
	Lost       int    // rows that the inventory had no room for
	PutAside   string // where a file went that could not be read
	Why        string // that it could not be
	FirstStart bool   // there was no file
	Migrated   int    // schema that it had, 0: this one
}

// Open opens or makes the store at path and puts what it holds into v. A file
// that is damaged is renamed, and a new one begun with what could be read.
// Other errors leave the file
// alone: it is in use, of a later version, or cannot be written.
func Open(path string, v *inventory.Inventory, now time.Time) (*Store, *Report, error) {
	rep := &Report{}
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		rep.FirstStart = true
	}
	s, err := open(path, v, rep, false)
	if err == nil && rep.Damaged == 0 || err != nil && !errors.Is(err, ErrDamaged) {
		return s, rep, err
	}
	why := "some records cannot be read"
	if err != nil {
		why = err.Error()
	} else {
		closeQuietly(s.db)
	}
	aside := fmt.Sprintf("%s.damaged-%s", path, now.UTC().Format("20060102T150405"))
	if err := os.Rename(path, aside); err != nil {
		return nil, rep, fmt.Errorf("%s: %w", why, err)
	}
	*rep = Report{PutAside: aside, Why: why, Damaged: rep.Damaged, Lost: rep.Lost}
	v.Touch() // what was read goes into the new file
	s, err = open(path, v, rep, false)
	return s, rep, err
}

// Read puts what a store holds into v, without writing to it. It also reads
// one that cannot be written, but not while another process has it open for
// writing.
func Read(path string, v *inventory.Inventory) (*Report, []Interval, error) {
	if _, err := os.Stat(path); err != nil {
		return nil, nil, err
	}
	rep := &Report{}
	s, err := open(path, v, rep, true)
	if err != nil {
		return rep, nil, err
	}
	defer s.Close()
	watched, err := s.Watched()
	return rep, watched, err
}

// open opens a file and reads it. A damaged one may make bbolt panic, or fault
// where the file is shorter than its pages say.
func open(path string, v *inventory.Inventory, rep *Report, readOnly bool) (s *Store, err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	var db *bolt.DB
	defer func() {
		if p := recover(); p != nil {
			s, err = nil, fmt.Errorf("%w: %v", ErrDamaged, p)
		}
		if err != nil && db != nil {
			closeQuietly(db)
		}
	}()
	if info, errStat := os.Stat(path); errStat == nil && info.Size() > 0 {
		if err := checkFreeList(path); err != nil {
			return nil, err
		}
	}
	db, err = bolt.Open(path, 0o600, options(readOnly))
	if err != nil {
		return nil, openError(err)
	}
	s = &Store{path: path, db: db, journal: make(map[inventory.Key]bool)}
	if !readOnly {
		if err := s.prepare(rep); err != nil {
			return nil, err
		}
	}
	return s, s.load(v, rep)
}

// options are those of every opening. The list of free pages is kept in the file:
// without, bbolt looks for them in a goroutine of its own, where a damaged page
// would end the process.
func options(readOnly bool) *bolt.Options {
	return &bolt.Options{Timeout: lockWait, ReadOnly: readOnly, FreelistType: bolt.FreelistMapType}
}

// closeQuietly closes a file whose pages may be damaged.
func closeQuietly(db *bolt.DB) {
	defer func() { _ = recover() }()
	_ = db.Close()
}

func openError(err error) error {
	var path *fs.PathError
	switch {
	case errors.Is(err, bolterrors.ErrTimeout):
		return ErrInUse
	case errors.As(err, &path):
		return err
	case errors.Is(err, bolterrors.ErrInvalid), errors.Is(err, bolterrors.ErrVersionMismatch), errors.Is(err,
		bolterrors.ErrChecksum), err.Error() == "file size too small":
		return fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	return fmt.Errorf("%w: %w", ErrDamaged, err)
}

// prepare makes the buckets and brings an older schema up to this one.
func (s *Store) prepare(rep *Report) error {
	return s.db.Update(func(tx *bolt.Tx) error {
		for _, b := range [][]byte{bucketMeta, bucketClients, bucketJournal, bucketWatch} {
			if _, err := tx.CreateBucketIfNotExists(b); err != nil {
				return err
			}
		}
		meta := tx.Bucket(bucketMeta)
		found := schemaOf(meta)
		switch {
		case found > Schema:
			return fmt.Errorf("%w: schema %d, this one knows %d", ErrNewer, found, Schema)
		case found == Schema:
			return nil
		case found > 0:
			rep.Migrated = found
		}
		return migrate(tx, found)
	})
}

// migrate brings a store from a schema to the next ones. Schema 0 is an empty
// file.
func migrate(tx *bolt.Tx, from int) error {
	for _, step := range migrations[from:] {
		if err := step(tx); err != nil {
			return err
		}
	}
	return tx.Bucket(bucketMeta).Put(keySchema, []byte{Schema})
}

// migrations are the steps from each schema to the next.
var migrations = []func(*bolt.Tx) error{
	0: func(*bolt.Tx) error { return nil },
}

func schemaOf(meta *bolt.Bucket) int {
	if b := meta.Get(keySchema); len(b) == 1 {
		return int(b[0])
	}
	return 0
}

// load reads rows and then the journal, which is newer.
func (s *Store) load(v *inventory.Inventory, rep *Report) error {
	return s.db.View(func(tx *bolt.Tx) error {
		meta, rows, journal := tx.Bucket(bucketMeta), tx.Bucket(bucketClients), tx.Bucket(bucketJournal)
		if meta == nil || rows == nil || journal == nil {
			return fmt.Errorf("%w: a part is missing", ErrDamaged)
		}
		if found := schemaOf(meta); found > Schema {
			return fmt.Errorf("%w: schema %d, this one knows %d", ErrNewer, found, Schema)
		}
		var full inventory.Full
		if b := meta.Get(keyFull); b != nil && json.Unmarshal(b, &full) == nil {
			v.SetFull(full)
		}
		err := rows.ForEach(func(k, b []byte) error {
			record, ok := unseal(b)
			if !ok || len(k) != len(inventory.Key{}) {
				rep.Damaged++
				return nil
			}
			rep.restore(v, inventory.Key(k), record)
			return nil
		})
		if err != nil {
			return err
		}
		err = journal.ForEach(func(k, b []byte) error {
			s.next = binary.BigEndian.Uint64(k) + 1
			s.octets += len(b)
			entries, ok := unseal(b)
			if !ok {
				rep.Damaged++
				return nil
			}
			s.replay(v, rep, entries)
			return nil
		})
		rep.Rows = v.Len()
		return err
	})
}

func (rep *Report) restore(v *inventory.Inventory, k inventory.Key, record []byte) {
	full, err := v.Restore(k, record)
	switch {
	case err != nil:
		rep.Damaged++
	case full:
		rep.Lost++
	}
}

// replay applies the entries of one journal record.
func (s *Store) replay(v *inventory.Inventory, rep *Report, b []byte) {
	for len(b) > 0 {
		k, record, rest, ok := cutEntry(b)
		if !ok {
			rep.Damaged++
			return
		}
		s.journal[k] = true
		if len(record) == 0 {
			v.Drop(k)
		} else {
			rep.restore(v, k, record)
		}
		b = rest
	}
}

// An entry is a key, the length of a record and the record; an empty one takes
// the row out.
func appendEntry(b []byte, k inventory.Key, record []byte) []byte {
	b = append(b, k[:]...)
	b = binary.AppendUvarint(b, uint64(len(record)))
	return append(b, record...)
}

func cutEntry(b []byte) (k inventory.Key, record, rest []byte, ok bool) {
	if len(b) < len(k) {
		return k, nil, nil, false
	}
	copy(k[:], b)
	n, width := binary.Uvarint(b[len(k):])
	b = b[len(k)+max(width, 0):]
	if width <= 0 || n > uint64(len(b)) {
		return k, nil, nil, false
	}
	return k, b[:n], b[n:], true
}

// seal puts a checksum before what is stored.
func seal(b []byte) []byte {
	return append(binary.BigEndian.AppendUint32(nil, crc32.ChecksumIEEE(b)), b...)
}

func unseal(b []byte) ([]byte, bool) {
	if len(b) < 4 || crc32.ChecksumIEEE(b[4:]) != binary.BigEndian.Uint32(b) {
		return nil, false
	}
	return b[4:], true
}

// entryOctets is how much one journal record holds, about.
const entryOctets = 1 << 20

// Changes are what is to be written, collected from an inventory.
type Changes struct {
	entries [][]byte
	keys    []inventory.Key
	full    inventory.Full
	rows    int
}

// Collect takes the changes out of an inventory. If they cannot be written they
// must be kept and written with the next ones (Join).
func Collect(v *inventory.Inventory) *Changes {
	c := &Changes{full: v.Full()}
	v.Changes(func(k inventory.Key, record []byte) { c.add(k, record) }, func(k inventory.Key) { c.add(k, nil) })
	return c
}

func (c *Changes) add(k inventory.Key, record []byte) {
	if n := len(c.entries); n == 0 || len(c.entries[n-1]) > entryOctets {
		c.entries = append(c.entries, nil)
	}
	last := &c.entries[len(c.entries)-1]
	*last = appendEntry(*last, k, record)
	c.keys = append(c.keys, k)
	c.rows++
}

// Octets returns how much there is to be written.
func (c *Changes) Octets() (n int) {
	for _, e := range c.entries {
		n += len(e)
	}
	return n
}

// Join puts earlier changes before these.
func (c *Changes) Join(earlier *Changes) {
	if earlier == nil {
		return
	}
	c.entries = append(earlier.entries, c.entries...)
	c.keys = append(earlier.keys, c.keys...)
	c.rows += earlier.rows
}

// Write appends changes to the journal, and that the inventory was watching
// until now. When it returns without error they survive the process.
func (s *Store) Write(c *Changes, now time.Time) error {
	full, err := json.Marshal(c.full)
	if err != nil {
		return err
	}
	next := s.next
	err = s.update(func(tx *bolt.Tx) error {
		journal := tx.Bucket(bucketJournal)
		for _, e := range c.entries {
			if err := journal.Put(number(next), seal(e)); err != nil {
				return err
			}
			next++
		}
		if err := tx.Bucket(bucketMeta).Put(keyFull, full); err != nil {
			return err
		}
		return s.watch(tx, now)
	})
	if err != nil {
		return err
	}
	s.next = next
	s.octets += c.Octets()
	for _, k := range c.keys {
		s.journal[k] = true
	}
	return nil
}

func number(n uint64) []byte { return binary.BigEndian.AppendUint64(nil, n) }

// update is a transaction whose panic, at a damaged page, is an error.
func (s *Store) update(f func(*bolt.Tx) error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: %v", ErrDamaged, p)
		}
	}()
	return s.db.Update(f)
}

// Due tells whether the journal is long enough to be folded.
func (s *Store) Due() bool { return s.octets > foldOctets }

// Close closes the store.
func (s *Store) Close() error { return s.db.Close() }
