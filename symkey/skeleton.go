package symkey

import (
	"errors"
	"io"
	"iter"
	"net/netip"

	"ntsbridge/bridge/ntp"
)

var errTODO = errors.New("not implemented")

const cmacLen = 16

type algorithm struct {
	name   string
	macLen int
}

// NewKey makes a key.
func NewKey(id uint32, algorithm string, secret []byte, addresses []netip.Prefix) (*Key, error) {
	return nil, errTODO
}

// Weaknesses tells what speaks against the key, one sentence each.
func (k *Key) Weaknesses() []string { return nil }

// Allows reports whether the key may be used from addr.
func (k *Key) Allows(addr netip.Addr) bool { return true }

// WireLen returns the length of the MAC that a packet of this NTP version
// carries, in octets without the key identifier.
func (k *Key) WireLen(version uint8) int { return 0 }

// String describes the key without its secret.
func (k *Key) String() string { return "" }

// GoString is String.
func (k *Key) GoString() string { return k.String() }

// Verify reports whether packet[mac:] is this key's identifier and MAC.
func (k *Key) Verify(packet []byte, mac int, s *Scratch) bool { return false }

// Seal appends key identifier and MAC of macLen octets to resp[:n], and returns the new length.
func (k *Key) Seal(resp []byte, n, macLen int, s *Scratch) int { return 0 }

// Scratch is the working memory of one worker.
type Scratch struct{}

// NewScratch returns a Scratch.
func NewScratch() *Scratch { return &Scratch{} }

// TrustedSet is a set of key identifiers; the zero value is empty.
type TrustedSet struct{ all bool }

// TrustAll is the set of all identifiers, as chronyd has it.
var TrustAll = TrustedSet{all: true}

// ParseTrusted reads identifiers and ranges: "7", "1-9", "1 ... 9".
func ParseTrusted(items []string) (TrustedSet, error) { return TrustedSet{}, errTODO }

// Contains reports whether id is in the set.
func (t TrustedSet) Contains(id uint32) bool { return t.all }

// String writes the set as ParseTrusted reads it, or "all".
func (t TrustedSet) String() string { return "" }

// Table is an immutable set of usable keys; a nil Table is empty.
type Table struct{}

// NewTable makes a table of the keys that are in trusted.
func NewTable(keys []*Key, trusted TrustedSet) (*Table, error) { return nil, errTODO }

// Lookup returns the key, or nil.
func (t *Table) Lookup(id uint32) *Key { return nil }

// FullMACLen implements ntp.Keys.
func (t *Table) FullMACLen(id uint32) (int, bool) { return 0, false }

// Len returns the number of keys.
func (t *Table) Len() int { return 0 }

// All iterates over the keys in the order of their identifiers.
func (t *Table) All() iter.Seq[*Key] { return func(func(*Key) bool) {} }

// Open verifies a request.
func (t *Table) Open(req *ntp.Request, s *Scratch) (ntp.Verdict, *Key) { return ntp.Verdict{}, nil }

// ParseNTPKeys reads an ntp.keys file as ntpd 4.2.8p15 does.
func ParseNTPKeys(name string, data []byte) (*File, error) { return nil, errTODO }

// ParseNTPsecKeys reads an ntp.keys file as ntpsec does.
func ParseNTPsecKeys(name string, data []byte) (*File, error) { return nil, errTODO }

// ParseChronyKeys reads a chrony.keys file as chronyd does.
func ParseChronyKeys(name string, data []byte) (*File, error) { return nil, errTODO }

// ParseAuto reads a file in the format that DetectFormat finds.
func ParseAuto(name string, data []byte) (*File, error) { return nil, errTODO }

// DetectFormat tells which daemon's file it is.
func DetectFormat(name string, data []byte) Format { return FormatNTP }

// Generate makes a random key; read is crypto/rand.Reader outside tests.
func Generate(rand io.Reader, id uint32, algorithm string) (*Key, error) { return nil, errTODO }

// AppendNTPKeysLine appends the key as a line of ntpd's key file.
func AppendNTPKeysLine(dst []byte, k *Key) ([]byte, error) { return nil, errTODO }

// AppendChronyKeysLine appends the key as a line of chronyd's key file.
func AppendChronyKeysLine(dst []byte, k *Key) ([]byte, error) { return nil, errTODO }
