package history

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"
	"unicode/utf8"
)

// Entry is one line. The order of its fields is that of the file.
type Entry struct {
	Number uint64    `json:"number"` // from 1
	Time   time.Time `json:"time"`   // of the host's clock, UTC
	Who    string    `json:"who"`    // peer credentials of the control socket, or "ntsbridge"
	What   string    `json:"what"`   // one of the words below
	Group  string    `json:"group,omitempty"`
	Means  string    `json:"means,omitempty"`
	Step   uint32    `json:"step,omitempty"`
	Key    uint32    `json:"key,omitempty"` // symmetric key that was rolled or retired
	// Gateway is whose record it is from, and Origin the hash that it has there, in
	// the history of a site.
	Gateway string `json:"gateway,omitempty"`
	Origin  string `json:"origin,omitempty"`
	Stage   string `json:"stage,omitempty"`
	Why     string `json:"why,omitempty"`
	// Evidence is what a gate found, how many were refused, who was hurt.
	Evidence json.RawMessage `json:"evidence,omitempty"`
	Before   string          `json:"before"` // hash of the line before, hexadecimal; of none: empty
	Hash     string          `json:"hash"`   // of this line without it
}

// What an entry may tell of.
const (
	Declared   = "declared"   // a plan
	Began      = "began"      // a step refuses from now on
	Watching   = "watching"   // it refuses no more, and its clients are watched
	Passed     = "passed"     // it ended well
	Ended      = "ended"      // it ended before its time, nobody being hurt
	BackedOut  = "backed-out" // it ended since clients were hurt
	Refused    = "gate-shut"  // a step was asked for, and a gate was shut
	Forced     = "forced"     // a step began with a gate shut
	Held       = "held"
	Resumed    = "resumed"
	RolledBack = "rolled-back"
	Warned     = "warned"
	Regrouped  = "regrouped" // labels or Autokey groups changed, and a step in force got other clients
	Recovered  = "recovered" // what a start found

	KeyRolled  = "key-rolled"  // a key gets a successor
	KeyRetired = "key-retired" // a key is taken out of its file
	KeyKept    = "key-kept"    // that did not come about
)

// maxLine bounds a line, octets.
const maxLine = 1 << 20

// The causes of errors.
var (
	// ErrBroken says that a line is not what was written.
	ErrBroken = errors.New("the history is broken")
	// ErrTorn says that the last line is not complete, as after a power cut.
	ErrTorn = errors.New("the last line is not complete")
)

// After numbers and chains an entry behind the end of a history, and returns its
// line with the newline and the end that there is then.
func (e *Entry) After(end End) ([]byte, End, error) {
	line, err := e.seal(end.Lines+1, end.Hash)
	if err != nil {
		return nil, end, err
	}
	return line, End{e.Number, e.Hash, end.Octets + int64(len(line))}, nil
}

// seal numbers and chains an entry, and returns its line with the newline.
func (e *Entry) seal(number uint64, before string) ([]byte, error) {
	e.Number, e.Before, e.Hash = number, before, ""
	e.Time = e.Time.UTC().Round(0)
	for _, s := range []*string{&e.Who, &e.What, &e.Group, &e.Means, &e.Stage, &e.Why, &e.Gateway, &e.Origin} {
		if !utf8.ValidString(*s) {
			return nil, errors.New("an entry is text in UTF-8")
		}
	}
	text, err := json.Marshal(e)
	if err != nil {
		return nil, err
	}
	e.Hash = hashOf(text)
	if text, err = json.Marshal(e); err != nil {
		return nil, err
	}
	if len(text) >= maxLine {
		return nil, fmt.Errorf("an entry has at most %d octets", maxLine)
	}
	return append(text, '\n'), nil
}

func hashOf(text []byte) string {
	h := sha256.Sum256(text)
	return hex.EncodeToString(h[:])
}

// open reads a line without its newline, as seal writes one.
func open(line []byte, number uint64, before string) (*Entry, error) {
	var e Entry
	if err := json.Unmarshal(line, &e); err != nil {
		return nil, fmt.Errorf("%w: line %d is no entry", ErrBroken, number)
	}
	hash, was := e.Hash, e.Before
	written, err := e.seal(e.Number, e.Before)
	switch {
	case err != nil || string(written) != string(line)+"\n" || e.Hash != hash:
		return nil, fmt.Errorf("%w: line %d is not as it was written", ErrBroken, number)
	case was != before:
		return nil, fmt.Errorf("%w: between lines %d and %d one is missing, or line %d was changed", ErrBroken, number-1, number, number-1)
	case e.Number != number:
		return nil, fmt.Errorf("%w: line %d has the number %d", ErrBroken, number, e.Number)
	}
	return &e, nil
}
