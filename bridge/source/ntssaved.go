package source

import (
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"slices"
	"time"

	"ntsbridge/nts"
	"ntsbridge/nts/aead"
)

// Store keeps the keys and cookies of NTS associations over restarts. What it
// keeps is secret.
type Store interface {
	// Load returns what was saved under a name, and drops it for good before:
	// a cookie must never be sent twice, or the two could be linked (RFC 8915,
	// section 9.1). The error is an fs.ErrNotExist if there is nothing.
	Load(name string) ([]byte, error)
	// Save replaces what is kept under a name; nothing to keep drops it.
	Save(name string, state []byte) error
}

// Saved is the state of an NTS association over a restart.
type Saved struct {
	Server      string         // NTS-KE server as configured
	NTP         netip.AddrPort // NTP server
	Keys        nts.Keys
	Cookies     [][]byte            // 1 to 8, none of them ever sent
	Established time.Time           // key establishment, by the clock, seconds
	At          time.Time           // when it was saved, by the clock, seconds
	Expires     time.Time           // when it is too old, seconds
	Chain       []*x509.Certificate // that the server sent, its own first
}

// Limits of a saved state.
const (
	maxSaved       = 1 << 18 // octets
	maxSavedChain  = 10
	maxSavedCookie = 1024 // octets
	savedVersion   = 1
)

// savedJSON is the form in which a state is kept. Times are in Unix seconds.
type savedJSON struct {
	Version     int            `json:"version"`
	Server      string         `json:"server"`
	NTP         netip.AddrPort `json:"ntp"`
	AEAD        uint16         `json:"aead"`
	C2S         []byte         `json:"c2s"`
	S2C         []byte         `json:"s2c"`
	Cookies     [][]byte       `json:"cookies"`
	Established int64          `json:"established"`
	At          int64          `json:"saved"`
	Expires     int64          `json:"expires"`
	Chain       [][]byte       `json:"certificates"`
}

// errSaved says that a state is not one that was saved.
var errSaved = errors.New("not a saved state of NTS")

// Format hides keys and cookies, whatever the verb.
func (s Saved) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "saved(%q, %v, %d cookies, redacted)", s.Server, s.Keys.AEAD, len(s.Cookies))
}

// Marshal returns the state as it is kept. It is secret.
func (s *Saved) Marshal() ([]byte, error) {
	if err := s.check(); err != nil {
		return nil, err
	}
	j := savedJSON{
		Version: savedVersion, Server: s.Server, NTP: s.NTP, AEAD: uint16(s.Keys.AEAD), C2S: s.Keys.C2S(), S2C: s.Keys.S2C(),
		Cookies: s.Cookies, Established: s.Established.Unix(), At: s.At.Unix(), Expires: s.Expires.Unix(),
	}
	for _, c := range s.Chain {
		j.Chain = append(j.Chain, c.Raw)
	}
	return json.Marshal(j)
}

// unmarshalSaved reads a state that Marshal has made.
func unmarshalSaved(data []byte) (*Saved, error) {
	var j savedJSON
	if len(data) > maxSaved {
		return nil, fmt.Errorf("%w: %d octets", errSaved, len(data))
	}
	// The decoder's error may quote what it read.
	if json.Unmarshal(data, &j) != nil {
		return nil, fmt.Errorf("%w: malformed", errSaved)
	}
	if j.Version != savedVersion {
		return nil, fmt.Errorf("%w: version %d", errSaved, j.Version)
	}
	keys, err := nts.NewKeys(aead.ID(j.AEAD), j.C2S, j.S2C)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errSaved, err)
	}
	s := &Saved{
		Server: j.Server, NTP: j.NTP, Keys: keys, Cookies: j.Cookies,
		Established: time.Unix(j.Established, 0), At: time.Unix(j.At, 0), Expires: time.Unix(j.Expires, 0),
	}
	if len(j.Chain) > maxSavedChain {
		return nil, fmt.Errorf("%w: %d certificates", errSaved, len(j.Chain))
	}
	for _, der := range j.Chain {
		c, err := x509.ParseCertificate(der)
		if err != nil {
			return nil, fmt.Errorf("%w: certificate: %w", errSaved, err)
		}
		s.Chain = append(s.Chain, c)
	}
	return s, s.check()
}

// sane are the dates that can be in a saved state.
var sane = interval{time.Unix(0, 0), time.Date(2200, 1, 1, 0, 0, 0, 0, time.UTC)}

func (s *Saved) check() error {
	good := s.Server != "" && s.NTP.IsValid() && s.NTP.Port() != 0 && s.NTP.Addr().Zone() == "" && s.Keys.AEAD.KeyLen() != 0 &&
		len(s.Cookies) >= 1 && len(s.Cookies) <= nts.MaxCookies && len(s.Chain) >= 1 && len(s.Chain) <= maxSavedChain &&
		!s.At.Before(s.Established) && !s.Expires.Before(s.At)
	for _, c := range s.Cookies {
		good = good && len(c) >= 1 && len(c) <= maxSavedCookie
	}
	for _, t := range []time.Time{s.Established, s.At, s.Expires} {
		good = good && validity{sane}.has(t)
	}
	if !good {
		return fmt.Errorf("%w: a value is missing or out of range", errSaved)
	}
	return nil
}

// Cookies are put aside for another run while this one goes on, so that a run
// which ends without Close leaves some, too. They are replaced now and then,
// since the server forgets its keys.
const (
	asideCookies  = 2
	asideInterval = 4 * time.Hour
)

// putAside saves a few cookies that this run will not use.
func (n *NTS) putAside(uptime time.Duration) {
	s := n.session
	if n.cfg.Store == nil || s.provisional || uptime < s.saveAt || s.client.Cookies() < 2*asideCookies {
		return
	}
	s.saveAt = uptime + asideInterval
	if err := n.save(s.client.Withdraw(asideCookies)); err != nil {
		n.notice("cookies were not kept for the next run: %v", err)
	}
}

// Close keeps the unused cookies for the next run and gives the keys up. The
// association must have ended.
func (n *NTS) Close() error {
	defer n.publish()
	s := n.session
	if s == nil {
		return nil
	}
	defer n.drop()
	cookies := s.client.Withdraw(nts.MaxCookies)
	if n.cfg.Store == nil || s.provisional || !s.proven && !s.restored || len(cookies) == 0 {
		return nil
	}
	return n.save(cookies)
}

func (n *NTS) save(cookies [][]byte) error {
	s := n.session
	now := n.cfg.now()
	if now.Before(s.established) {
		now = s.established
	}
	saved := &Saved{
		Server: n.cfg.Server, NTP: s.server, Keys: s.keys, Cookies: cookies,
		Established: s.established, At: now, Expires: now.Add(n.cfg.MaxAge), Chain: s.chain,
	}
	if s.restored && !s.proven { // nothing has shown that they are still good
		saved.At, saved.Expires = s.saved.At, s.saved.Expires
	}
	defer saved.Keys.Clear()
	data, err := saved.Marshal()
	if err != nil {
		return err
	}
	defer clear(data)
	return n.cfg.Store.Save(n.cfg.Name, data)
}

// forget drops what is kept.
func (n *NTS) forget() {
	if n.cfg.Store == nil {
		return
	}
	if err := n.cfg.Store.Save(n.cfg.Name, nil); err != nil {
		n.notice("kept cookies could not be dropped: %v", err)
	}
}

// restore takes the keys of an earlier run.
func (n *NTS) restore() {
	if n.cfg.Store == nil {
		return
	}
	data, err := n.cfg.Store.Load(n.cfg.Name)
	if errors.Is(err, fs.ErrNotExist) {
		return
	}
	defer clear(data)
	var s *session
	var saved *Saved
	if err == nil {
		saved, err = unmarshalSaved(data)
	}
	if err == nil {
		s, err = n.revive(saved)
	}
	if err != nil {
		n.notice("the keys of the last run are not used: %v", err)
		return
	}
	n.issuer = s.chain[0].Issuer.String()
	now := n.cfg.now()
	switch {
	case now.After(saved.Expires):
		n.reserve = s
		return
	case now.Before(saved.At):
		n.notice("the clock says %s, which is wrong: it was %s in the last run", date(now), date(saved.At))
	}
	n.session = s
}

// revive makes a session of a saved state, if it fits the configuration and
// the server's certificate is still one that is trusted, dates apart.
func (n *NTS) revive(saved *Saved) (*session, error) {
	aeads := n.cfg.AEADs
	if len(aeads) == 0 {
		aeads = nts.DefaultAEADs
	}
	switch {
	case saved.Server != n.cfg.Server:
		return nil, fmt.Errorf("they are those of %q", saved.Server)
	case !slices.Contains(aeads, saved.Keys.AEAD):
		return nil, fmt.Errorf("%v is not configured", saved.Keys.AEAD)
	case n.cfg.Network != "ip" && saved.NTP.Addr().Unmap().Is4() != (n.cfg.Network == "ip4"):
		return nil, ErrFamily
	}
	roots, err := n.cfg.roots()
	if err != nil {
		return nil, err
	}
	chains, err := verifyAtAnyDate(saved.Chain, n.cfg.host(), roots)
	if err != nil {
		return nil, err
	}
	s := &session{
		keys: saved.Keys, server: saved.NTP, chain: saved.Chain, valid: validityOf(chains),
		established: saved.Established, restored: true, saved: saved,
	}
	// Their age counts, as far as the clock can tell it.
	age := min(max(0, n.cfg.now().Sub(saved.Established)), max(0, n.cfg.Refresh))
	s.since = n.cfg.Clock.Uptime() - age
	if s.client, err = newNTSClient(&s.keys, saved.Cookies); err != nil {
		return nil, err
	}
	saved.Keys.Clear()
	saved.Cookies = nil
	return s, nil
}
