package autokey

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"sync/atomic"

	"ntsbridge/autokey/keyfile"
	"ntsbridge/bridge/ntp"
)

// Server answers Autokey requests of clients. It is safe for concurrent use.
type Server struct {
	host    *keyfile.Host
	name    []byte // the host's
	digest  Digest
	group   bool   // our own name has @group
	seeds   []Seed // own first, then older ones
	rand    io.Reader
	flagged Status // status word before the first signature update

	takeover    bool
	takeoverEnd ntp.Timestamp

	values   atomic.Pointer[values]
	autokeys atomic.Pointer[map[uint32]Message] // AUTO responses of broadcast associations

	mu           sync.Mutex                   // of updates
	certificates map[string]CachedCertificate // what CERT gives out, by subject
	leap         LeapValues

	budget   Budget
	signCost int // of one signature of the server, units of the budget
	answers  *answers
}

// NewServer makes a server. rand is for the public-key operations and must be
// safe for concurrent use, as crypto/rand.Reader is.
func NewServer(cfg Config, rand io.Reader) (*Server, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	certificates, err := chooseCertificates(cfg.Host, cfg.Cache)
	if err != nil {
		return nil, err
	}
	s := &Server{
		host:         cfg.Host,
		name:         []byte(cfg.Host.Name),
		digest:       cfg.Digest,
		group:        strings.Contains(cfg.Host.Name, "@"),
		seeds:        append([]Seed{cfg.Seed}, cfg.OlderSeeds...),
		rand:         rand,
		flagged:      hostStatus(cfg.Host, false),
		takeover:     cfg.Takeover,
		takeoverEnd:  cfg.TakeoverEnd,
		certificates: certificates,
		leap:         cfg.Leap,
		budget:       cfg.Budget,
		answers:      newAnswers(cfg.Answers),
	}
	if err := s.sign(&Message{Code: Request(OpLeap)}); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrConfig, err)
	}
	s.signCost = privateCost(cfg.Host.Signer().Public())
	s.values.Store(unsignedValues(s.flagged))
	return s, nil
}

// Format hides seeds and keys, whatever the verb.
func (s *Server) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "server(%q %v)", s.host.Name, s.Status())
}

// Status returns the status word that the server sends now.
func (s *Server) Status() Status { return s.values.Load().status }

// Updated returns the time of the last signature update in NTP seconds, 0 if
// there was none; ntpq shows it as "update".
func (s *Server) Updated() uint32 { return s.values.Load().timestamp }

// sign signs a message with the host's sign key.
func (s *Server) sign(m *Message) error {
	sig, err := keyfile.Sign(s.rand, s.host.Signer(), s.host.NID(), m.appendSigned(nil))
	if err != nil {
		return fmt.Errorf("autokey: %s: %w", m.Code.Op(), err)
	}
	m.Signature = sig
	return nil
}
