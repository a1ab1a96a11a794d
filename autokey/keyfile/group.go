package keyfile

import (
	"errors"
	"fmt"
	"io/fs"

	"ntsbridge/autokey/identity"
)

// Scheme is an identity scheme that has group files.
type Scheme uint8

// The schemes, in the order in which a client picks them.
const (
	IFF Scheme = 1 + iota
	GQ
	MV
)

// String returns the name as in file names: "iff", "gq", "mv".
func (s Scheme) String() string {
	switch s {
	case IFF:
		return "iff"
	case GQ:
		return "gq"
	case MV:
		return "mv"
	}
	return "invalid"
}

// Group is a client's group parameter file. Exactly one of the three is set.
type Group struct {
	Name      string
	Filestamp uint32 // NTP seconds; IFF and MV servers must send the same
	IFF       *identity.IFFParameters
	GQ        *identity.GQParameters // V is nil: use WithPublic
	MV        *identity.MVParameters
}

// Scheme returns the scheme whose parameters are set.
func (g *Group) Scheme() Scheme {
	switch {
	case g.IFF != nil:
		return IFF
	case g.GQ != nil:
		return GQ
	}
	return MV
}

// LoadGroup reads a client's file ntpkey_{iff,gq,mv}par_GROUP. Like ntpd it
// has no password for it. The error is a *FileError; fs.ErrNotExist if there
// is no such file.
func LoadGroup(fsys fs.FS, scheme Scheme, group string) (*Group, error) {
	name := "ntpkey_" + scheme.String() + "par_" + group
	data, err := readFile(fsys, name)
	if err != nil {
		return nil, inFile(name, err)
	}
	f, err := ReadKey(data, "")
	if errors.Is(err, ErrPassword) {
		err = fmt.Errorf("%w: a group file must not be encrypted, ntpd exits on it; export it again with ntp-keygen -e", err)
	}
	if err != nil {
		return nil, inFile(name, err)
	}
	g := &Group{Name: group, Filestamp: f.Filestamp}
	switch scheme {
	case IFF:
		g.IFF, err = f.IFFParameters()
	case GQ:
		g.GQ, err = f.gqParameters()
	case MV:
		g.MV, err = f.MVParameters()
	default:
		err = unsupported("scheme %d", scheme)
	}
	if err != nil {
		return nil, inFile(name, err)
	}
	return g, nil
}
