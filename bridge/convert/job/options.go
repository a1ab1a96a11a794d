package job

import (
	"io/fs"
	"net/netip"
	"time"

	"ntsbridge/bridge/convert/report"
)

// Input is a configuration and what lies around it.
type Input struct {
	Name string // for messages
	Data []byte
	// Files is the root directory of the host that the configuration is of: an
	// absolute name /etc/ntp.keys is asked for as etc/ntp.keys. nil: nothing of
	// the host is known, and what would be in its files is reported as unread.
	Files fs.FS
	// Path is the name of the configuration on its host, such as
	// /etc/ntpsec/ntp.conf; empty: unknown.
	Path string
}

// Lost says what to do about a line of which ntpd lost a word of security.
type Lost uint8

// The answers.
const (
	LostStop     Lost = iota // write nothing
	LostRunning              // convert what ntpd does
	LostIntended             // convert what was meant, if that can be told
)

// Options are the operator's decisions.
type Options struct {
	// Dialect is auto, ntp, ntpsec or chrony. Empty is auto.
	Dialect string
	// Decide answers questions; nil stops at every one.
	Decide func(report.Question) Lost
	// Addresses are what names of hosts and network interfaces stand for; the
	// name server is not asked.
	Addresses map[string][]netip.Addr
	// Hostname is the host's name, for Autokey's files; empty: unknown.
	Hostname string
	// KeysDir is the directory of Autokey's files that ntpd was compiled with.
	// Empty is /usr/local/etc.
	KeysDir string
	// DaemonOptions is the command line that the daemon is started with, such
	// as "-g". Empty: it is looked for among the files of the host.
	DaemonOptions string
	// PasswordFile is the name that the YAML gives the file with Autokey's
	// password. Required if there is one.
	PasswordFile string
	// NTSCert and NTSKey add NTS with this certificate; NTSSelfSigned with one
	// that is made on first start.
	NTSCert, NTSKey string
	NTSSelfSigned   bool
	// TakeoverUntil is the day until which the cookies of the ntpd that is
	// replaced are accepted, 2006-01-02; empty: 180 days from Now on.
	TakeoverUntil string
	// Trial lets that ntpd come back without stranding a client.
	Trial bool
	// Now is for the validity of Autokey's certificates; zero: not judged.
	Now time.Time
	// Client asks for the configuration of a client instead.
	Client *ClientOptions
}

// Secret is content that goes into a file of its own, mode 0600.
type Secret struct {
	Name    string
	Content []byte
}

// String does not show the content.
func (s Secret) String() string { return s.Name }

// GoString is String.
func (s Secret) GoString() string { return s.Name }

// ClientOptions asks for the configuration of the daemon that a client of the
// site will run, pointing at the gateway.
type ClientOptions struct {
	// Format is the daemon: chrony, ntpsec, ntpd-rs or timesyncd.
	Format string
	// Gateways are the names of the servers that take the place of all network
	// sources. With NTS they must be names in the servers' certificates.
	Gateways []string
	// CA is the file with the certificates to trust; empty: the system's.
	CA string
	// Key keeps the client's symmetric key for a step in between, in place of
	// NTS.
	Key bool
	// Mixed keeps the key where there is one that can be used, and takes NTS
	// else.
	Mixed bool
	// KeyFile is the name that the output gives the file with that key.
	KeyFile string
	// Serving is whether the host goes on serving others: ServingAuto, if its
	// file lets networks in by name, ServingKeep or ServingDrop.
	Serving string
}

// The values of ClientOptions.Serving.
const (
	ServingAuto = ""
	ServingKeep = "keep"
	ServingDrop = "drop"
)

// ClientFormats are the values of ClientOptions.Format.
var ClientFormats = []string{"chrony", "ntpsec", "ntpd-rs", "timesyncd"}
