package material

import (
	"crypto/tls"
	"time"

	"ntsbridge/autokey"
	"ntsbridge/autokey/keyfile"
	"ntsbridge/bridge/access"
	"ntsbridge/bridge/clock/leap"
	"ntsbridge/bridge/control/remote"
	"ntsbridge/bridge/nke"
	"ntsbridge/bridge/statedir"
	"ntsbridge/nts"
	"ntsbridge/symkey"
)

// Set is what a configuration names, loaded.
type Set struct {
	finder
	Store      *statedir.Store      // what Commit writes it has to keep
	Access     *access.Table        // nil after a finding that keeps serve from starting
	Keys       *symkey.Table        // empty if there are none
	Autokey    *Autokey             // nil: off, or not served
	NTS        *NTS                 // nil: off
	API        *remote.Settings     // without addresses if it is off
	Page       *remote.Settings     // likewise
	Leap       *leap.Table          // nil: none, or not readable
	Client     *autokey.Credentials // of this host as a client of Autokey; nil: no source needs them
	Sources    []Source             // as in the configuration
	Broadcasts []Source
	Made       Made
	Undated    bool     // something waits for a clock that knows the date
	Clock      string   // what time is served, in words
	Served     []Served // who is served how
}

// Made says what the first start generates.
type Made struct {
	Key          bool // symmetric key
	Certificate  bool
	CookieSecret bool
}

// Autokey is what the server side of Autokey is made of.
type Autokey struct {
	Host       *keyfile.Host
	Digest     autokey.Digest
	Seeds      []autokey.Seed // newest first, at least one
	Leap       autokey.LeapValues
	LeapExpire uint32 // when the leap table ends, NTP seconds; 0: not known
}

// NTS is what NTS and NTS-KE are made of.
type NTS struct {
	Secret   *nts.Secret // of the cookies; nil: to be made when the date is known
	Previous *nts.Secret // that it took the place of; nil: none
	Files    []nke.Files // certificates, the broken ones too: they may be mended
}

// Source is what a source or a broadcast needs beside its configuration.
type Source struct {
	Key         *symkey.Key
	TLS         *tls.Config // nil: not by NTS
	Credentials *autokey.Credentials
	Digest      autokey.Digest
	Groups      []*keyfile.Group
	Err         error // why it cannot work; nil: it can
}

// Options are what a load depends on beside the configuration.
type Options struct {
	Now     time.Time
	Running *statedir.Store // of what runs: a file of value that has vanished comes from there; nil at a start
}

// loader makes a Set.
type loader struct {
	*Set
	opt Options
}

// Served is a row of the table of who is served how.
type Served struct {
	Name       string   `json:"name"`
	Network    string   `json:"network"`
	FromNTP    bool     `json:"source_port_123"` // only for requests from port 123
	Kinds      []string `json:"kinds"`           // that are answered, as far as they are enabled
	Keys       string   `json:"keys,omitempty"`  // identifiers that are answered
	MinVersion int      `json:"min_version"`
	Refused    string   `json:"refused"` // what the others get: nothing, DENY, RSTR
	Rate       string   `json:"rate"`    // limit in words, or none
	Query      bool     `json:"query"`
}
