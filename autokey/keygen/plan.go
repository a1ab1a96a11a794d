package keygen

import (
	"io"
	"time"

	"ntsbridge/autokey/identity"
)

// Inputs are all that a plan depends on.
type Inputs struct {
	// Options are those of the command line, over those of files and
	// environment.
	Options *Values
	// Renew makes a certificate that running peers take over, and nothing else.
	Renew bool
	// System is the name of this machine: the host where the options name none,
	// and the password where none is given, as in ntp-keygen.
	System string
	// Read reads a file of the key directory, through links; an error that is
	// fs.ErrNotExist says that there is none. Required.
	Read func(name string) ([]byte, error)
	// Target returns what a link of the key directory points to, or its own
	// name. Required.
	Target func(name string) string
	// Now is the time, Rand the source of keys. Required.
	Now  time.Time
	Rand io.Reader
	// Password is that of this host's files, empty for the name of the machine;
	// ExportPassword that of exported server keys, empty for no such export.
	Password, ExportPassword string
	// Ask asks for the password of a file that the given one does not open;
	// empty: there is none. nil: there is nobody to ask.
	Ask func(file string) string
	// Tell is told what is done, while it is done. nil: nobody listens.
	Tell func(Note)
	// Progress is told of the search for primes. nil: nobody listens.
	Progress identity.Progress
}

// Note is a line for the person who runs this.
type Note struct {
	Text    string
	Warning bool
}

// Plan is what is to be written, all or nothing.
type Plan struct {
	Files    []File
	Output   []byte // exported group files, for standard output
	Password string // that the private files are encrypted with
}

// File is a file of the key directory.
type File struct {
	Name    string
	Link    string // symbolic link to it, replaced if it is there; empty: none
	Content []byte
	Secret  bool // not for everybody
}
