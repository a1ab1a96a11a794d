package keyfile

import (
	"errors"
	"io/fs"
	"time"

	"ntsbridge/autokey/identity"
)

// HostOptions are the words of the crypto line.
type HostOptions struct {
	Host     string    // name in the file names; required
	Ident    string    // name in the identity key file names; default Host
	Password string    // of all private files; default Host
	Now      time.Time // for findings; zero: validity is not judged
}

// Host is a host's key set.
type Host struct {
	Name                 string // common name of the certificate, with @group
	HostKey              *RSAPrivateKey
	HostFilestamp        uint32     // NTP seconds
	SignKey              PrivateKey // nil: HostKey signs
	SignFilestamp        uint32
	Certificate          *Certificate
	CertificateFilestamp uint32
	IFF                  *identity.IFFKey // nil: scheme not offered
	IFFFilestamp         uint32
	GQ                   *identity.GQKey
	GQFilestamp          uint32
	MV                   *identity.MVKey
	MVFilestamp          uint32
	Findings             []Finding
}

// Signer returns the key that signs messages and certificates.
func (h *Host) Signer() PrivateKey {
	if h.SignKey != nil {
		return h.SignKey
	}
	return h.HostKey
}

// NID returns the algorithm of the host's signatures (that of its certificate).
func (h *Host) NID() NID { return h.Certificate.NID }

// Finding is something about a file that works but should be known.
type Finding struct {
	File string
	Code string // stable word, e.g. "weak-key"
	Text string
}

// LoadHost reads a host's key set with the rules of ntpd.
func LoadHost(fsys fs.FS, opt HostOptions) (*Host, error) { return nil, errors.ErrUnsupported }

// Scheme is an identity scheme with a group file.
type Scheme uint8

// The schemes, in the order in which a client picks them.
const (
	IFF Scheme = 1 + iota
	GQ
	MV
)

// Group is a client's group parameter file.
type Group struct {
	Name      string
	Filestamp uint32
	IFF       *identity.IFFParameters // exactly one of the three is set
	GQ        *identity.GQParameters  // V nil: use WithPublic
	MV        *identity.MVParameters
}

// LoadGroup reads ntpkey_{iff,gq,mv}par_GROUP. The error is fs.ErrNotExist if
// there is no such file.
func LoadGroup(fsys fs.FS, scheme Scheme, group string) (*Group, error) {
	return nil, errors.ErrUnsupported
}
