package material

import (
	"crypto/tls"
	"time"

	"ntsbridge/autokey"
	"ntsbridge/autokey/keyfile"
	"ntsbridge/bridge/access"
	"ntsbridge/bridge/clock/leap"
	"ntsbridge/bridge/config"
	"ntsbridge/bridge/nke"
	"ntsbridge/bridge/statedir"
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
	Leap       *leap.Table          // nil: none, or not readable
	Client     *autokey.Credentials // of this host as a client of Autokey; nil: no source needs them
	Sources    []Source             // as in the configuration
	Broadcasts []Source
	Made       Made
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
	Secret []byte      // of the cookies
	Files  []nke.Files // certificates, the broken ones too: they may be mended
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

// Load loads what a resolved configuration names. It changes nothing. What is
// wrong is in the findings; their Err says whether serve would start.
func Load(cfg *config.Config, opt Options) *Set {
	k := &loader{Set: &Set{finder: finder{config: cfg}}, opt: opt}
	if !k.open() {
		return k.Set
	}
	k.accessTable()
	k.keys()
	k.autokey()
	k.nts()
	k.leapTable()
	k.sources()
	k.referenceClocks()
	k.clock()
	k.servedRules()
	for _, notice := range k.Store.Notices() {
		k.findIn(Warning, k.Store.Path(""), 0, notice)
	}
	return k.Set
}

// loader makes a Set.
type loader struct {
	*Set
	opt Options
}

// open opens the state directory.
func (k *loader) open() bool {
	var err error
	if k.config.StateDir == "" {
		k.find(NoStart, "state_dir", "there is no home directory for the default, and a directory for everybody is not safe; write one, or use --state-dir")
		return false
	}
	if k.Store, err = statedir.Open(k.config.StateDir, k.opt.Running); err != nil {
		k.find(NoStart, "state_dir", "%v", err)
		return false
	}
	return true
}

func (k *loader) accessTable() {
	var err error
	if k.Access, err = k.config.AccessTable(); err != nil {
		k.find(NoStart, "access", "%v", err)
	}
}
