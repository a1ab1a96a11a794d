package acme

import (
	"crypto"
	"errors"
	"fmt"
	"net/netip"
	"path/filepath"
	"slices"
	"time"

	"github.com/hashicorp/go-hclog"

	"ntsbridge/bridge/nke"
)

// The challenges.
const (
	HTTP01    = "http-01"
	TLSALPN01 = "tls-alpn-01"
	DNS01     = "dns-01"
)

// Config is what is to be got, and from whom.
type Config struct {
	// Directory is the URL of the ACME server's directory, by https.
	Directory string
	// Contact are addresses of mail that the authority may write to.
	Contact []string
	// Names are host names and addresses, at least one.
	Names []string
	// Challenge is one of the above.
	Challenge string
	// Listen is where http-01 (usual: port 80) and tls-alpn-01 (443) are
	// answered.
	Listen []netip.AddrPort
	// Hook is the program of dns-01. It is called with "present" or "cleanup",
	// the name of the TXT record and its value.
	Hook string
	// Bundle is a PEM file of authorities that the ACME server's own certificate
	// is trusted by; empty: those of the system.
	Bundle string
	// BindingID and BindingKey are an external account binding, empty for none.
	BindingID  string
	BindingKey []byte
	// Dir is where account, key and certificate are.
	Dir string
	// Ready tells whether the clock is right, without which nothing is judged by
	// dates. Nil: it is.
	Ready func() bool
	// Issued is told that there is a new certificate. May be nil.
	Issued func()
	// Logger; nil for none.
	Logger hclog.Logger

	now  func() time.Time
	wait time.Duration // the first after a failure
}

func (c *Config) complete() error {
	switch {
	case c.Directory == "" || len(c.Names) == 0:
		return errors.New("acme: no directory or no names")
	case !slices.Contains([]string{HTTP01, TLSALPN01, DNS01}, c.Challenge):
		return fmt.Errorf("acme: challenge %q: must be %s, %s or %s", c.Challenge, HTTP01, TLSALPN01, DNS01)
	case c.Challenge == DNS01 && c.Hook == "":
		return errors.New("acme: dns-01 needs a hook program")
	case c.Challenge != DNS01 && len(c.Listen) == 0:
		return fmt.Errorf("acme: %s needs an address to listen on", c.Challenge)
	}
	if c.Ready == nil {
		c.Ready = func() bool { return true }
	}
	if c.Issued == nil {
		c.Issued = func() {}
	}
	if c.Logger == nil {
		c.Logger = hclog.NewNullLogger()
	}
	if c.now == nil {
		c.now = time.Now
	}
	if c.wait == 0 {
		c.wait = firstWait
	}
	return nil
}

// FilesIn returns where the certificate is that is got into a directory.
func FilesIn(dir string) nke.Files {
	return nke.Files{Certificate: filepath.Join(dir, "acme.crt"), Key: filepath.Join(dir, "acme.key")}
}

func (c *Config) accountFile() string { return filepath.Join(c.Dir, "acme-account.key") }

// Status is how it stands.
type Status struct {
	Next  time.Time // when something is done next; zero: at once
	Tried time.Time // the last attempt; zero: none
	Error string    // of it; empty: it went well
}

// keys are ECDSA P-256.
type signer = crypto.Signer
