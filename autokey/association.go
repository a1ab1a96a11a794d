package autokey

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"time"

	"ntsbridge/autokey/identity"
	"ntsbridge/autokey/keyfile"
	"ntsbridge/bridge/ntp"
)

// defaultRefresh is how long an association lives before it is made anew, to
// fetch certificates and leap second values again: 2^19 s, six days.
const defaultRefresh = time.Second << 19

// defaultRestartInterval is the least time between two restarts that
// unauthenticated packets can cause.
const defaultRestartInterval = 64 * time.Second

// AssociationConfig is what an association is made of, whatever its mode.
type AssociationConfig struct {
	// Credentials are those of the host. Required.
	Credentials *Credentials
	// Digest is that of session keys and MACs; both sides must agree on it.
	// Default: MD5.
	Digest Digest
	// Local and Remote are the addresses on the wire. Both are hashed into
	// the session keys, so that Autokey cannot pass an address translator.
	Local, Remote netip.Addr
	// ID is the association ID, which ntpq shows. 0: rolled.
	ID uint16
	// Ident is the name of the identity group, ntpd's "ident" of a server line.
	// Empty: the server's identity is not checked.
	Ident string
	// Groups are the parameter files of the group, one for each scheme.
	Groups []*keyfile.Group
	// AllowNoScheme accepts a server that offers no identity scheme at all,
	// although Ident is set, as ntpd does. Since the offer is not signed,
	// anybody on the way can then take it away; so the default is to refuse.
	AllowNoScheme bool
	// Automax is the longest life of a key list, log2 seconds, 1 to 31.
	// Default: 12.
	Automax uint8
	// Refresh is the life of the association. Default: defaultRefresh.
	Refresh time.Duration
	// RestartInterval is the least time between two restarts caused by
	// crypto-NAKs. Default: defaultRestartInterval.
	RestartInterval time.Duration
	// Policy says which signatures are good. Default: keyfile.DefaultPolicy.
	Policy *keyfile.Policy
}

func (c *AssociationConfig) check() error {
	switch {
	case c.Credentials == nil:
		return fmt.Errorf("%w: no credentials", ErrConfig)
	case !c.Digest.Valid():
		return fmt.Errorf("%w: unknown digest", ErrConfig)
	case !c.Remote.IsValid() || !c.Local.IsValid():
		return fmt.Errorf("%w: an address is missing", ErrConfig)
	case c.Local.Unmap().Is4() != c.Remote.Unmap().Is4():
		return fmt.Errorf("%w: addresses %v and %v are of different families", ErrConfig, c.Local, c.Remote)
	case c.Automax > 31:
		return fmt.Errorf("%w: automax is %d, must be 1 to 31", ErrConfig, c.Automax)
	case c.Refresh < 0 || c.RestartInterval < 0:
		return fmt.Errorf("%w: negative interval", ErrConfig)
	case c.Ident == "" && len(c.Groups) > 0:
		return fmt.Errorf("%w: group files without ident", ErrConfig)
	case c.Ident != "" && len(c.Groups) == 0 && !c.Credentials.private() && !c.AllowNoScheme:
		return fmt.Errorf("%w: ident %q without a group file: there must be ntpkey_iffpar_%[2]s, ntpkey_gqpar_%[2]s or "+
			"ntpkey_mvpar_%[2]s", ErrConfig, c.Ident)
	}
	for _, g := range c.Groups {
		if g == nil || g.IFF == nil && g.GQ == nil && g.MV == nil {
			return fmt.Errorf("%w: empty group", ErrConfig)
		}
	}
	if c.Automax == 0 {
		c.Automax = defaultAutomax
	}
	if c.Refresh == 0 {
		c.Refresh = defaultRefresh
	}
	if c.RestartInterval == 0 {
		c.RestartInterval = defaultRestartInterval
	}
	if c.Policy == nil {
		p := keyfile.DefaultPolicy()
		c.Policy = &p
	}
	return nil
}

// State is an association for display.
type State struct {
	ID        uint16      // association ID
	KeyID     uint32      // of the last packet sent, 0: none
	PeerID    uint32      // that of the other side, 0 before ASSOC
	Status    Status      // ntpq's flags; 0 before ASSOC
	Host      string      // name of the other side; empty before ASSOC
	Signature keyfile.NID // its signature algorithm
	Ident     string      // identity group, as configured
	Scheme    keyfile.Scheme
	Identity  Identity // which identity was checked, in the end
	Issuer    string   // whose certificate is asked for next, before FlagCERT
	Trail     []string // "subject issuer" of the certificates of the other side

	HasValues bool          // autokey values were received
	Values    AutokeyValues // ntpq's initkey and initsequence
	ValuesAt  uint32        // their timestamp, NTP seconds
	Leap      LeapValues    // of the last LEAP response
	KeysLeft  int           // in the key list
	Restarts  int           // since the association was made
	Warning   string        // what works, but should be known
	Err       error         // what went wrong last; nil after a good packet
}

// Identity says how much the identity of the other side is worth.
type Identity uint8

// The identities.
const (
	IdentityUnknown Identity = iota // not checked yet
	IdentityTC                      // trusted certificate only, which proves nothing
	IdentityPC                      // same private certificate
	IdentityGroup                   // identity scheme of the group
)

// String returns the name.
func (i Identity) String() string {
	return [...]string{"unknown", "TC", "PC", "group"}[i&3]
}

// wireFlags are the flags that a status word of ASSOC can have. The others
// are the receiver's own conclusions; ntpd takes them from the wire too.
const wireFlags = FlagENAB | FlagTAI | FlagPRIV | schemeFlags

// schemeFlags are the offers of identity schemes.
const schemeFlags = FlagIFF | FlagGQ | FlagMV

// association is what all modes have in common: the state of the dance.
type association struct {
	cfg     AssociationConfig
	cred    *Credentials
	rand    io.Reader
	scratch *Scratch
	mode    ntp.Mode // of the other side
	id      uint16

	dance
	restarts    int
	restartable time.Duration // no restart by a crypto-NAK before
	signAfter   time.Duration // no SIGN and LEAP request before
	badSigs     int           // signatures in a row that did not verify
	known       []knownCertificate
	lastKey     uint32 // identifier of the last packet sent
	warning     string
	err         error
}

// dance is the state that a restart clears.
type dance struct {
	status     Status
	peerID     uint32
	peerName   string
	trail      trail
	scheme     keyfile.Scheme
	group      *keyfile.Group
	verifier   identity.Verifier
	challenge  []byte
	cookie     uint32
	hostCookie uint32 // our half in symmetric modes
	cookieAt   signedAt
	keys       *keyList
	keysPoll   time.Duration
	sequence   sequence
	leap       LeapValues
	begun      bool
	began      time.Duration
}

func (a *association) init(cfg AssociationConfig, mode ntp.Mode) error {
	if err := cfg.check(); err != nil {
		return err
	}
	*a = association{
		cfg: cfg, cred: cfg.Credentials, rand: cfg.Credentials.rand, mode: mode,
		scratch: NewScratch(cfg.Digest), id: cfg.ID,
	}
	for range 100 {
		if a.id != 0 {
			return nil
		}
		var b [2]byte
		if _, err := io.ReadFull(a.rand, b[:]); err != nil {
			return fmt.Errorf("autokey: association ID: %w", err)
		}
		a.id = binary.BigEndian.Uint16(b[:])
	}
	return errors.New("autokey: association ID: the source of randomness gives zeros only")
}

// Format hides cookie and keys, whatever the verb.
func (a *association) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "association(%v %v)", a.cfg.Remote, a.status)
}

// restart clears the dance.
func (a *association) restart() {
	if a.begun {
		a.restarts++
	}
	a.dance = dance{}
	a.warning = ""
}

// has reports whether all these flags are set.
func (a *association) has(f Flags) bool { return a.status.Flags()&f == f }

func (a *association) set(f Flags)   { a.status |= Status(f) }
func (a *association) clear(f Flags) { a.status &^= Status(f) }

// State returns the association for display.
func (a *association) State() State {
	s := State{
		ID: a.id, KeyID: a.lastKey, PeerID: a.peerID, Status: a.status, Host: a.peerName, Ident: a.cfg.Ident,
		Signature: a.status.nid(), Scheme: a.scheme, Issuer: a.trail.wanted,
		HasValues: a.sequence.known, Values: a.sequence.values, ValuesAt: a.sequence.at.timestamp,
		Leap: a.leap, Restarts: a.restarts, Warning: a.warning, Err: a.err, Identity: a.identity(),
	}
	if a.keys != nil {
		s.KeysLeft = a.keys.left
	}
	for _, e := range a.trail.entries {
		s.Trail = append(s.Trail, e.Certificate.Subject+" "+e.Certificate.Issuer)
	}
	return s
}

func (a *association) identity() Identity {
	switch {
	case !a.has(FlagVRFY | FlagPROV):
		return IdentityUnknown
	case a.cred.private():
		return IdentityPC
	case a.scheme != 0:
		return IdentityGroup
	}
	return IdentityTC
}

// refresh restarts an association that has lived long enough. ntpd, too,
// looks at that when a packet was accepted.
func (a *association) refresh(m Moment) bool {
	if !a.begun || m.Uptime-a.began < a.cfg.Refresh {
		return false
	}
	a.restart()
	return true
}

// begin notes when the association began to live.
func (a *association) begin(m Moment) {
	if !a.begun {
		a.begun, a.began = true, m.Uptime
	}
}

// nak restarts the association for a crypto-NAK, unless there was a restart
// lately. The caller has checked the origin timestamp.
func (a *association) nak(m Moment) (restarted bool) {
	if m.Uptime < a.restartable {
		return false
	}
	a.restartable = m.Uptime + a.cfg.RestartInterval
	a.restart()
	return true
}

// nextKey returns the identifier for the next packet and whether it begins a
// new list.
func (a *association) nextKey(m Moment, poll time.Duration, cookie uint32, source, destination netip.Addr) (id uint32, fresh bool,
	err error) {
	if a.keys != nil && a.keysPoll == poll {
		if id, ok := a.keys.next(); ok {
			return id, false, nil
		}
	}
	old := a.keys
	a.keys, err = newKeyList(a.scratch, keyListParameters{
		Source: source, Destination: destination, Cookie: cookie, Poll: poll,
		Automax: a.cfg.Automax, Synchronised: m.Synchronised,
		InUse: func(id uint32) bool { return old != nil && len(old.ids) > 0 && old.ids[0] == id },
	}, a.rand)
	if err != nil {
		a.keys = nil
		return 0, false, err
	}
	a.keysPoll = poll
	id, _ = a.keys.next()
	return id, true, nil
}

// symmetric reports whether the other side is a symmetric peer.
func (a *association) symmetric() bool {
	return a.mode == ntp.ModeSymmetricActive || a.mode == ntp.ModeSymmetricPassive
}
