package inventory

import (
	"encoding/hex"
	"errors"

	"ntsbridge/bridge/ntp"
)

// client is one row: an address, or a prefix that stands for many. Times are
// seconds since 1970; indexes are one more than the place, 0 for none.
type client struct {
	addr        [16]byte // IPv4 in the IPv6 form; of a prefix its first address
	first, last uint32
	means       uint32          // the first of its list
	crowd       uint32          // details of several hosts
	threads     [2]inlineThread // the newest one, and the one before
	before      uint32          // last use of the one before
	refid       uint32          // of its last request, if it has one
	reference   uint32          // reference timestamp of its last request, NTP seconds
	handshakes  uint32          // of NTS-KE, those that agreed
	handshake   uint32          // when the last one ended
	failures    uint16          // NTS-KE that did not agree
	host, group uint16          // names that Autokey told
	bits        uint8           // of the prefix, 128 for one address
	rank        Rank
	offered     uint8 // AEADs that NTS-KE offered, see aeadBit
	result      uint8 // of the last NTS-KE, see HandshakeResult
	leap        uint8 // leap indicator and stratum of its last request
	stratum     uint8
	flags       uint8
	sni         uint8 // NTS-KE: 1 told a name, 2 told none
}

const (
	flagUsed   = 1 << iota // the slot is not free
	flagHashed             // addr is a keyed hash, not an address
	flagDirty              // changed since the last Changes
	flagShort              // addr was shortened
)

// reasonSlots is how many reasons of refusal one means counts apart.
const reasonSlots = 4

// means is one way in which a client authenticates.
type means struct {
	client      uint32
	next        uint32
	key         uint32 // key identifier, AEAD, account of MS-SNTP; 0 else
	first, last uint32
	served      uint32 // last time it was answered, 0: never
	answered    uint32 // packets
	kissed      uint32 // when the last kiss went out
	kisses      uint16
	unanswered  uint16 // packets in a row
	refused     [reasonSlots]uint32
	minOctets   uint16
	maxOctets   uint16
	kind        ntp.Kind
	scheme      Scheme
	mac         uint8
	versions    uint8 // bit per version
	modes       uint8 // bit per mode
	fraction    uint8 // of last, 1/256 s
	gapCount    uint8
	flags       uint8
	gaps        [8]uint8 // see gapCode
	print       print
}

const (
	meansProved   = 1 << iota // it was authenticated
	meansZeroSeed             // Autokey: the last cookie was of seed 0
)

// print is what fingerprints are made of: the last packet's fields and how the
// port behaves.
type print struct {
	first    uint8 // leap indicator, version, mode
	stratum  uint8
	poll     int8
	prec     int8
	tos      uint8
	samePort uint8 // saturating counts of later packets
	newPort  uint8
	port     uint16
	flags    uint16
}

const (
	printTOS     = 1 << iota // tos is known
	printReal                // transmit timestamp is the time of day
	printLowBits             // its last 11 bits are 0
	printRootOne             // root delay and dispersion are 1 s
	printInit                // reference identifier INIT
	printOrigin              // origin timestamp not 0
	printState               // root delay, dispersion, reference identifier or timestamp not 0
	printArduino             // reference identifier 1N14
)

// A count of refusals has its reason in the top 5 bits.
const (
	reasonShift = 27
	reasonMask  = 1<<reasonShift - 1
)

// reasonOther counts what no slot of its own was left for.
const reasonOther = ntp.Reason(31)

// refuse counts n packets refused for a reason.
func (m *means) refuse(reason ntp.Reason, n uint32) {
	for i := range m.refused {
		if i == reasonSlots-1 && m.refused[i] != 0 && ntp.Reason(m.refused[i]>>reasonShift) != reason {
			reason = reasonOther
			m.refused[i] = uint32(reason)<<reasonShift | m.refused[i]&reasonMask
		}
		if m.refused[i] == 0 {
			m.refused[i] = uint32(reason) << reasonShift
		}
		if ntp.Reason(m.refused[i]>>reasonShift) == reason {
			m.refused[i] = uint32(reason)<<reasonShift | min(m.refused[i]&reasonMask+min(n, reasonMask/2), reasonMask)
			return
		}
	}
}

// refusals returns how many packets were refused in all.
func (m *means) refusals() (n uint64) {
	for _, r := range m.refused {
		n += uint64(r & reasonMask)
	}
	return n
}

func add32(a, b uint32) uint32 { return uint32(min(uint64(a)+uint64(b), 1<<32-1)) }
func inc8(a uint8) uint8       { return min(a, 254) + 1 }
func inc16(a uint16) uint16    { return min(a, 65534) + 1 }

// Key names a row in a store: the address and how many bits of it count.
type Key [17]byte

// MarshalText returns the key in hexadecimal.
func (k Key) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, k[:]), nil }

// UnmarshalText reads what MarshalText wrote.
func (k *Key) UnmarshalText(text []byte) error {
	if len(text) != hex.EncodedLen(len(k)) {
		return errors.New("a key of the inventory has 34 hexadecimal digits")
	}
	_, err := hex.Decode(k[:], text)
	return err
}

// Stored is a row's record with its key.
type Stored struct {
	Key    Key    `json:"key"`
	Record []byte `json:"record"`
}

func (c *client) key() (k Key) {
	copy(k[:], c.addr[:])
	k[16] = c.bits
	return k
}
