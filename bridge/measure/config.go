package measure

import (
	"crypto/tls"
	"time"

	"ntsbridge/autokey"
	"ntsbridge/autokey/keyfile"
	"ntsbridge/bridge/ntp"
	"ntsbridge/nts/aead"
	"ntsbridge/symkey"
)

// Config says how servers are to be asked.
type Config struct {
	// Kind is how the answers must be authenticated. KindSymmetric needs Key,
	// KindAutokey needs Autokey.
	Kind    ntp.Kind
	Key     *symkey.Key
	Autokey Autokey
	NTS     NTS

	Port    uint16 // UDP port
	Version uint8  // of NTP, 1 to 4; NTS wants 4
	Network string // ip4 or ip6; empty: either

	Samples  int           // measurements that are wanted, 1 or more
	Interval time.Duration // between two requests
	Timeout  time.Duration // after which a server is given up
}

// Autokey are the words of ntp.conf's crypto line and of its server line.
type Autokey struct {
	Credentials *autokey.Credentials
	Groups      []*keyfile.Group
	Digest      autokey.Digest
	Ident       string
	// AllowNoScheme goes on, as ntpd does, when Ident is set and the server
	// offers no identity scheme.
	AllowNoScheme bool
	// Sign goes the whole way: SIGN and LEAP, too.
	Sign bool
}

// NTS is what key establishment needs.
type NTS struct {
	TLS   *tls.Config
	Port  uint16 // TCP port
	AEADs []aead.ID
}
