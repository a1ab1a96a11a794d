package leap

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"time"
)

// maxFile is the longest file that is read, octets; real ones have up to 11000.
const maxFile = 64 << 10

// Options say how strictly a file is read.
type Options struct {
	// IgnoreHash takes a leap-seconds.list with a wrong hash too, as ntpd's
	// "leapfile FILE ignorehash".
	IgnoreHash bool
}

// Parse reads a table from the content of a file, whose form it recognises.
// source is the file's name for messages.
func Parse(source string, data []byte, opt Options) (*Table, error) {
	t := &Table{Source: source}
	var err error
	switch text := string(data); {
	case len(data) > maxFile:
		err = fmt.Errorf("longer than %d octets; is it the right file?", maxFile)
	case strings.HasPrefix(text, "TZif"):
		t.Format = FormatTZif
		err = t.parseTZif(data)
	case isText(text):
		t.Format = FormatLeapSecond
		err = t.parseText(text)
	default:
		err = t.parseList(text, opt.IgnoreHash)
	}
	if err == nil && len(t.entries) == 0 {
		err = errors.New("no leap second in it; is it the right file?")
	}
	if err != nil {
		return nil, fmt.Errorf("leap second table %s: %w", source, err)
	}
	return t, nil
}

// isText tells the tz database's text from a leap-seconds.list by the first
// line that is no comment.
func isText(text string) bool {
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line != "" && line[0] != '#' {
			return strings.HasPrefix(line, "Leap") || strings.HasPrefix(line, "Expires")
		}
	}
	return false
}

// Load reads a table from a file, whose name is as fs.FS has it: without a
// slash at the beginning.
func Load(files fs.FS, name string, opt Options) (*Table, error) {
	f, err := files.Open(name)
	if err != nil {
		return nil, fmt.Errorf("leap second table: %w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, fmt.Errorf("leap second table %s: %w", name, err)
	}
	return Parse("/"+strings.TrimPrefix(name, "/"), data, opt)
}

// Places are where systems keep a table, in the order of Find: the first have
// the end of their validity in them. Names are below the root.
var Places = []string{
	"usr/share/zoneinfo/leap-seconds.list", // tzdata of Debian, Fedora, IANA
	"usr/share/zoneinfo/leapseconds",
	"var/lib/ntp/leap-seconds.list", // ntpd's update-leap
	"etc/ntp/leap-seconds.list",
	"etc/ntp.leapseconds",
	"usr/share/zoneinfo/right/UTC", // what chrony's leapsectz reads
}

// Find reads the best table that the system has: the first of Places that is
// valid, else the one that expired last, else one that does not tell. files is
// the root. Files that are there and unreadable are told of in the error if
// nothing is found.
func Find(files fs.FS, now time.Time) (*Table, error) {
	var best *Table
	var problems []error
	for _, name := range Places {
		t, err := Load(files, name, Options{})
		if err != nil {
			if !errors.Is(err, fs.ErrNotExist) {
				problems = append(problems, err)
			}
			continue
		}
		if !t.expires.IsZero() && !t.Expired(now) {
			return t, nil
		}
		if best == nil || t.expires.After(best.expires) {
			best = t
		}
	}
	if best == nil {
		problems = append(problems, fmt.Errorf("no leap second table found in /%s; install the tzdata package, or name a leap-seconds.list",
			strings.Join(Places, ", /")))
		return nil, errors.Join(problems...)
	}
	return best, nil
}
