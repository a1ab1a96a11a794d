package nts

import (
	"crypto/subtle"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"

	"ntsbridge/bridge/ntp"
	"ntsbridge/nts/aead"
)

// Errors of the client's packets.
var (
	// ErrNoCookies: all cookies are spent; keys must be established anew.
	ErrNoCookies = errors.New("nts: no cookies left")
	// ErrNAK: the server cannot open the cookie or verify the request. It is
	// not authenticated, so one of them proves nothing: a good response to the
	// same request may still come (RFC 8915, section 5.7).
	ErrNAK = errors.New("nts: server sent an NTS negative acknowledgement")
	// ErrResponse: not a response to the last request, or not authentic.
	ErrResponse = errors.New("nts: response refused")
	// ErrUnprotected is an ErrResponse: the packet has no NTS fields, or is not
	// sealed, and is no NAK either. A server without NTS answers like that, or
	// somebody on the way who takes the fields off.
	ErrUnprotected = fmt.Errorf("%w: not protected by NTS", ErrResponse)
	// ErrAuthenticator is an ErrResponse: the packet has the unique identifier
	// of the last request, but is not sealed with the server's key. Somebody on
	// the way made or changed it.
	ErrAuthenticator = fmt.Errorf("%w: authenticator does not verify", ErrResponse)
)

// maxRequestLen keeps a request within IPv6's least MTU of 1280 octets.
const maxRequestLen = 1280 - 40 - 8

// Client is the client's end of an association: keys, unused cookies, and the
// request in flight. It belongs to one goroutine.
type Client struct {
	id       aead.ID
	c2s, s2c aead.Key
	random   *rand.ChaCha8

	cookies [MaxCookies]struct {
		n int
		b [maxCookieLen]byte
	}
	first, count int

	waiting bool
	size    sizes
	uid     [MinUniqueIdentifierLen]byte
	plain   [MaxCookies * (ntp.FieldHeaderLen + maxCookieLen)]byte
}

// sizes finds out how long requests may be: some networks drop NTP packets that
// are longer than usual, and then to ask for more than one cookie is to get
// none. After a request without an answer the next is as short as can be. If
// that is answered, and the lost one was longer, requests stay short for a
// while; what was an accident leaves the stock as it is for that long.
type sizes struct {
	last  int  // octets of the last request
	least int  // it could not have been shorter
	lost  bool // one before it was longer, and was not answered
	left  int  // short requests until a longer one is tried
	hold  int  // how many that were at first
}

// Short requests before a longer one is tried again, doubled each time.
const (
	leastHold = 8
	mostHold  = 1024
)

// limit returns how long the next request may be, of at least and at most so
// many octets; lost says that the last one was not answered.
func (s *sizes) limit(least, most int, lost bool) int {
	s.lost = lost && (s.lost || s.last > s.least)
	switch {
	case lost:
		return least
	case s.left > 0:
		s.left--
		return least
	}
	return most
}

// answered notes that the last request was answered.
func (s *sizes) answered() {
	switch {
	case s.lost:
		s.hold = min(max(2*s.hold, leastHold), mostHold)
		s.left = s.hold
	case s.last > s.least:
		s.hold = 0
	}
	s.lost = false
}

// NewClient returns an association with the keys and cookies of NTS-KE. The
// seed is 32 octets of a true random source.
func NewClient(keys *Keys, cookies [][]byte, seed [32]byte) (*Client, error) {
	c := &Client{random: rand.NewChaCha8(seed)}
	if err := c.SetKeys(keys); err != nil {
		return nil, err
	}
	for _, b := range cookies {
		c.keep(b)
	}
	if c.count == 0 {
		return nil, ErrNoCookies
	}
	return c, nil
}

// SetKeys replaces the keys, not the cookies: see KEResult.Alternative.
func (c *Client) SetKeys(keys *Keys) error {
	if err := c.c2s.Init(keys.AEAD, keys.C2S()); err != nil {
		return fmt.Errorf("nts: client keys: %w", err)
	}
	if err := c.s2c.Init(keys.AEAD, keys.S2C()); err != nil {
		return fmt.Errorf("nts: client keys: %w", err)
	}
	c.id = keys.AEAD
	c.waiting = false
	return nil
}

// AEAD returns the algorithm in use.
func (c *Client) AEAD() aead.ID { return c.id }

// Cookies returns the number of unused cookies, 0 to 8.
func (c *Client) Cookies() int { return c.count }

// CookieLen returns the length of the cookie that the next request spends,
// octets; 0 without one.
func (c *Client) CookieLen() int {
	if c.count == 0 {
		return 0
	}
	return c.cookies[c.first].n
}

// Withdraw takes up to n of the newest cookies away, copies that no request
// of this client will spend: to be kept for another run of the program.
func (c *Client) Withdraw(n int) [][]byte {
	var list [][]byte
	for ; n > 0 && c.count > 0; n-- {
		c.count--
		slot := &c.cookies[(c.first+c.count)%MaxCookies]
		list = append(list, append([]byte(nil), slot.b[:slot.n]...))
	}
	return list
}

// keep stores a cookie if there is room for it.
func (c *Client) keep(b []byte) {
	if c.count == MaxCookies || len(b) == 0 || len(b) > maxCookieLen {
		return
	}
	slot := &c.cookies[(c.first+c.count)%MaxCookies]
	slot.n = copy(slot.b[:], b)
	c.count++
}

// Request extends a header in p[:ntp.HeaderLen] to a protected request and
// returns its length. It spends a cookie and asks for as many as are missing
// to have eight, as far as 1232 octets and what the network lets pass allow.
func (c *Client) Request(p []byte) (octets int, err error) {
	if c.count == 0 {
		return 0, ErrNoCookies
	}
	cookie := &c.cookies[c.first]
	field := ntp.FieldHeaderLen + padded(cookie.n)
	fixed := ntp.HeaderLen + ntp.FieldHeaderLen + len(c.uid) + authenticatorLen(c.id, 0)
	limit := min(len(p), maxRequestLen)
	if fixed+field > limit {
		return 0, fmt.Errorf("nts: request of %d octets does not fit into %d", fixed+field, limit)
	}
	wanted := min(MaxCookies-c.count+1, (c.size.limit(fixed+field, limit, c.waiting)-fixed)/field)
	_, _ = c.random.Read(c.uid[:])
	q := ntp.AppendField(p[:ntp.HeaderLen], ntp.FieldUniqueIdentifier, c.uid[:], 0)
	q = ntp.AppendField(q, ntp.FieldCookie, cookie.b[:cookie.n], 0)
	for range wanted - 1 {
		q = ntp.AppendField(q, ntp.FieldCookiePlaceholder, nil, field)
	}
	var nonce [maxNonceLen]byte
	_, _ = c.random.Read(nonce[:])
	q = appendAuthenticator(q, &c.c2s, nonce[:c.id.NonceLen()], nil)
	c.first = (c.first + 1) % MaxCookies
	c.count--
	c.waiting = true
	c.size.last, c.size.least = len(q), len(q)-(wanted-1)*field
	return len(q), nil
}

// Response verifies a packet as the response to the last request and keeps
// the new cookies. Each request gets at most one good response. The header's
// origin timestamp is left to the caller.
func (c *Client) Response(p []byte) error {
	if !c.waiting {
		return fmt.Errorf("%w: no request is waiting for one", ErrResponse)
	}
	l := ntp.Classify(p, noKeys{})
	if l.Defect == ntp.ReasonCryptoNAK { // of a classic ntpd, which has no NTS
		return ErrUnprotected
	}
	if l.Defect != ntp.ReasonOK || ntp.ModeOf(p) != ntp.ModeServer || ntp.VersionOf(p) != 4 {
		return fmt.Errorf("%w: not an NTPv4 server packet (%v)", ErrResponse, l.Defect)
	}
	if l.UniqueIdentifier.Length == 0 && l.Authenticator.Length == 0 {
		return ErrUnprotected
	}
	if l.UniqueIdentifier.Length == 0 ||
		subtle.ConstantTimeCompare(l.UniqueIdentifier.Body(p), c.uid[:]) != 1 {
		return fmt.Errorf("%w: unique identifier is missing or another one", ErrResponse)
	}
	if l.Authenticator.Length == 0 {
		if isNAK(p) {
			return ErrNAK
		}
		return ErrUnprotected
	}
	plain, err := c.open(p, l.Authenticator)
	if err != nil {
		return err
	}
	return c.takeCookies(plain)
}

func isNAK(p []byte) bool {
	return p[1] == 0 && binary.BigEndian.Uint32(p[12:]) == ntp.KissCode("NTSN")
}

func (c *Client) open(p []byte, f ntp.Field) ([]byte, error) {
	a, ok := parseAuthenticator(f.Body(p))
	if !ok || len(a.ciphertext)-aead.TagLen > len(c.plain) {
		return nil, fmt.Errorf("%w: authenticator field is malformed", ErrResponse)
	}
	plain, err := c.s2c.Open(c.plain[:0], a.nonce, a.ciphertext, p[:f.Offset])
	if err != nil {
		return nil, ErrAuthenticator
	}
	return plain, nil
}

// takeCookies keeps the cookies of an authentic response, all or none.
func (c *Client) takeCookies(plain []byte) error {
	for b := plain; len(b) > 0; {
		_, _, rest, ok := innerField(b)
		if !ok {
			return fmt.Errorf("%w: encrypted fields are malformed", ErrResponse)
		}
		b = rest
	}
	for len(plain) > 0 {
		fieldType, body, rest, _ := innerField(plain)
		if fieldType == ntp.FieldCookie {
			c.keep(body)
		}
		plain = rest
	}
	c.waiting = false
	c.size.answered()
	return nil
}

// Format tells nothing of the keys, whatever the verb.
func (c *Client) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "nts.Client(redacted)") }

// noKeys: no packet of NTS has a MAC.
type noKeys struct{}

func (noKeys) FullMACLen(uint32) (int, bool) { return 0, false }
