// Package statlog writes what chronyd and ntpd write of their measurements,
// line by line in their forms, so that the graphs that a site draws of them
// live on: chronyd's measurements.log, statistics.log, tracking.log and
// refclocks.log, and ntpd's loopstats, peerstats, rawstats, clockstats,
// sysstats, protostats and cryptostats (their monitoring options, and section
// "Monitoring Commands" of ntp.conf). Forms were compared with what chronyd 4.3
// and ntpd 4.2.8p15 wrote; their lines are in testdata.
//
// Files are turned by date as ntpd's filegen does, or by whatever moves them
// away: a file that is not there any more is begun anew. Whoever measures never
// waits for the disk: lines that cannot be kept for it are dropped and counted.
package statlog

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"ntsbridge/bridge/statedir"
)

// The files.
const (
	Measurements = "measurements"
	Statistics   = "statistics"
	Tracking     = "tracking"
	Refclocks    = "refclocks"
	Loopstats    = "loopstats"
	Peerstats    = "peerstats"
	Rawstats     = "rawstats"
	Clockstats   = "clockstats"
	Sysstats     = "sysstats"
	Protostats   = "protostats"
	Cryptostats  = "cryptostats"
)

// Config says what is written.
type Config struct {
	Dir   string   // empty: nothing
	Files []string // of the names above
	// Rotate is when a new file is begun, as the types of ntpd's filegen: none,
	// pid (each process), day, week, month, year, age (each day of the process).
	Rotate string
	// Link makes a link of the plain name to the file of the day.
	Link bool
	// Banner is after how many lines chronyd's headings are repeated; 0: never.
	Banner int
	// OnError is told, once until it works again, that a file cannot be
	// written. May be nil.
	OnError func(error)
}

// queueLen is how many lines wait for the disk at most.
const queueLen = 1024

// Log writes the files. A nil one writes nothing. All methods are safe for
// concurrent use.
type Log struct {
	config  Config
	lines   chan line
	stop    chan struct{}
	dropped atomic.Uint64
	done    sync.WaitGroup
	once    sync.Once
}

type line struct {
	file string
	at   time.Time
	text string
}

// Open makes the directory writable to us, or says why not, and begins. A disk
// that is full or read-only is told of by OnError: it can get better.
func Open(c Config) (*Log, error) {
	if c.Dir == "" || len(c.Files) == 0 {
		return nil, nil
	}
	if err := os.MkdirAll(c.Dir, 0o755); err != nil {
		return nil, fmt.Errorf("statistics: %w", err)
	}
	switch probe, err := os.CreateTemp(c.Dir, ".probe"); {
	case err == nil:
		probe.Close()
		os.Remove(probe.Name())
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT), errors.Is(err, syscall.EROFS):
	default:
		return nil, fmt.Errorf("statistics: %w", err)
	}
	l := &Log{config: c, lines: make(chan line, queueLen), stop: make(chan struct{})}
	l.done.Go(l.write)
	return l, nil
}

// Close writes what is waiting and ends.
func (l *Log) Close() {
	if l != nil {
		l.once.Do(func() { close(l.stop) })
		l.done.Wait()
	}
}

// Dropped returns how many lines were lost because the disk was too slow.
func (l *Log) Dropped() uint64 {
	if l == nil {
		return 0
	}
	return l.dropped.Load()
}

// wants reports whether a file is written.
func (l *Log) wants(file string) bool { return l != nil && slices.Contains(l.config.Files, file) }

func (l *Log) put(file string, at time.Time, text func() string) {
	if !l.wants(file) {
		return
	}
	select {
	case l.lines <- line{file, at, text()}:
	default:
		l.dropped.Add(1)
	}
}

// Measure writes a measurement.
func (l *Log) Measure(m *Measurement) {
	if l == nil {
		return
	}
	if m.Address.IsValid() {
		l.put(Measurements, m.At, m.measurement)
		l.put(Rawstats, m.At, m.rawstats)
	} else {
		l.put(Refclocks, m.At, m.refclock)
		l.put(Clockstats, m.At, m.clockstats)
	}
	if m.Accepted {
		l.put(Statistics, m.At, m.statistics)
	}
	l.put(Peerstats, m.At, m.peerstats)
}

// Update writes an update of the clock.
func (l *Log) Update(u *Update) {
	l.put(Tracking, u.At, u.tracking)
	l.put(Loopstats, u.At, u.loopstats)
}

// System writes the counters of a server.
func (l *Log) System(s *System) { l.put(Sysstats, s.At, s.sysstats) }

// Event writes an event of the system or of a peer: its status word and code
// as ntpq shows them, and what it was.
func (l *Log) Event(at time.Time, address string, status, code uint16, text string) {
	l.put(Protostats, at, func() string {
		return fmt.Sprintf("%s %s %04x %02x %s\n", mjd(at), address, status, code, oneLine(text))
	})
}

// Crypto writes what happened to the authentication of an association.
func (l *Log) Crypto(at time.Time, address, text string) {
	l.put(Cryptostats, at, func() string { return fmt.Sprintf("%s %s %s\n", mjd(at), address, oneLine(text)) })
}

// oneLine keeps a text from being several lines.
func oneLine(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, text)
}

// write writes lines until the log is closed.
func (l *Log) write() {
	w := writer{config: &l.config, files: map[string]*file{}}
	defer w.close()
	for {
		select {
		case n := <-l.lines:
			w.write(n)
		case <-l.stop:
			for {
				select {
				case n := <-l.lines:
					w.write(n)
				default:
					return
				}
			}
		}
	}
}

// writer has the files open.
type writer struct {
	config  *Config
	files   map[string]*file
	failing bool
}

func (w *writer) write(n line) {
	f := w.files[n.file]
	if f == nil {
		f = &file{name: n.file, config: w.config}
		w.files[n.file] = f
	}
	err := f.write(n.at, n.text)
	if err != nil && !w.failing && w.config.OnError != nil {
		w.config.OnError(fmt.Errorf("statistics: %w", err))
	}
	w.failing = err != nil
}

func (w *writer) close() {
	for _, f := range w.files {
		f.close()
	}
}

// file is one file, which changes with the date.
type file struct {
	name   string
	config *Config
	open   *os.File
	path   string
	lines  int
}

// plain is its name without a date.
func (f *file) plain() string {
	if _, chrony := headings[f.name]; chrony {
		return f.name + ".log"
	}
	return f.name
}

// began is when this process did: reloads do not change it.
var began = time.Now()

// suffix is that of ntpd's filegen for the period of a moment, and of a process
// of an age.
func suffix(rotate string, at time.Time, age time.Duration) string {
	const day = 24 * time.Hour
	at = at.UTC()
	switch rotate {
	case "pid":
		return fmt.Sprintf(".#%d", os.Getpid())
	case "age":
		return fmt.Sprintf(".a%08d", int64(age.Truncate(day).Seconds()))
	case "day":
		return at.Format(".20060102")
	case "week": // of ISO 8601, with their year; ntpd 4.2.8 writes a small w, whatever its documentation says
		year, week := at.ISOWeek()
		return fmt.Sprintf(".%04dw%02d", year, week)
	case "month":
		return at.Format(".200601")
	case "year":
		return at.Format(".2006")
	}
	return ""
}

func (f *file) write(at time.Time, text string) error {
	path := filepath.Join(f.config.Dir, f.plain()+suffix(f.config.Rotate, at, time.Since(began)))
	if f.open == nil || path != f.path || f.moved() {
		if err := f.begin(path); err != nil {
			return writeError(path, err)
		}
	}
	heading := headings[f.name]
	if heading != "" && (f.lines == 0 || f.config.Banner > 0 && f.lines%f.config.Banner == 0) {
		rule := strings.Repeat("=", len(heading))
		text = rule + "\n" + heading + "\n" + rule + "\n" + text
	}
	n, err := f.open.WriteString(text)
	if err != nil {
		f.cut(n)
		return writeError(path, err)
	}
	f.lines++
	return nil
}

// cut takes back the first octets of a line for whose rest there was no room.
func (f *file) cut(n int) {
	if info, err := f.open.Stat(); n > 0 && err == nil {
		_ = f.open.Truncate(info.Size() - int64(n))
	}
}

// writeError says what to do about a file that cannot be written.
func writeError(path string, err error) error {
	if remedy := statedir.Remedy(err); remedy != "" {
		return fmt.Errorf("%s: %w; %s", path, err, remedy)
	}
	return fmt.Errorf("%s: %w", path, err)
}

// moved reports whether the file is not the one of its name any more.
func (f *file) moved() bool {
	there, err := os.Stat(f.path)
	ours, err2 := f.open.Stat()
	return err != nil || err2 != nil || !os.SameFile(there, ours)
}

func (f *file) begin(path string) error {
	f.close()
	open, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return err
	}
	f.open, f.path, f.lines = open, path, 0
	if f.config.Link && f.config.Rotate != "none" {
		return f.link(filepath.Join(f.config.Dir, f.plain()))
	}
	return nil
}

// link makes the plain name one of the file. A file of that name that is no
// link is kept, as ntpd does, as NAME.C with the process number.
func (f *file) link(plain string) error {
	if old, err := os.Lstat(plain); err == nil {
		if same, err := f.open.Stat(); err == nil && os.SameFile(old, same) {
			return nil
		}
		if s, ok := old.Sys().(*syscall.Stat_t); ok && s.Nlink == 1 {
			if err := os.Rename(plain, fmt.Sprintf("%s.C%d", plain, os.Getpid())); err != nil {
				return err
			}
		}
	}
	spare := plain + ".new"
	_ = os.Remove(spare)
	if err := os.Link(f.path, spare); err != nil {
		return err
	}
	return os.Rename(spare, plain)
}

func (f *file) close() {
	if f.open != nil {
		f.open.Close()
		f.open = nil
	}
}
