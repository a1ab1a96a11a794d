package association

import (
	"context"
	"crypto/tls"
	"net/netip"
	"reflect"
	"time"

	"ntsbridge/autokey"
	"ntsbridge/autokey/keyfile"
	"ntsbridge/bridge/access"
	"ntsbridge/bridge/clock"
	"ntsbridge/bridge/clock/discipline"
	"ntsbridge/bridge/config"
	"ntsbridge/bridge/ntp"
	"ntsbridge/bridge/source"
	"ntsbridge/nts/aead"
	"ntsbridge/symkey"
)

// Spec is a configured source or broadcast with everything that it needs,
// loaded. What it needs by Config.Auth and could not be loaded is Err.
type Spec struct {
	Config      config.Source
	Key         *symkey.Key          // symmetric
	TLS         *tls.Config          // nts
	Credentials *autokey.Credentials // autokey, and the next two
	Digest      autokey.Digest
	Groups      []*keyfile.Group
	Broadcast   netip.AddrPort // valid: not a source, but where broadcasts go to
	TTL         uint8          // of them
	// Err says why it cannot be at work: it is shown and not run. nil: it can.
	Err error
}

// Config is what a set is made of.
type Config struct {
	Specs   []Spec // sources, then broadcasts, as they are to be listed
	Clocks  []config.ReferenceClock
	Passive config.Passive
	Access  *access.Table   // asked before a passive association begins
	Keys    *symkey.Table   // likewise
	Autokey *autokey.Server // ours, for symmetric associations and broadcasts; nil: off
	AEADs   []aead.ID       // of sources that name none
	// CookieDir keeps the keys and cookies of NTS sources over restarts.
	CookieDir string
}

// mode is that of the packets that the association sends or, in the mode
// that ntpd calls broadcast client, waits for.
func (s *Spec) mode() ntp.Mode {
	switch {
	case s.Broadcast.IsValid():
		return ntp.ModeBroadcast
	case s.Config.Mode == config.ModePeer:
		return ntp.ModeSymmetricActive
	case s.Config.Mode == config.ModeBroadcast:
		return modeBroadcastClient
	}
	return ntp.ModeClient
}

// modeBroadcastClient is ntpd's MODE_BCLIENT, which is never on the wire.
const modeBroadcastClient ntp.Mode = 6

// hears reports whether its packets come to the server's port.
func (s *Spec) hears() bool {
	return s.mode() == ntp.ModeSymmetricActive || s.mode() == modeBroadcastClient
}

// members is how many associations it is.
func (s *Spec) members() int {
	if s.Config.Mode == config.ModePool && s.Err == nil {
		return max(s.Config.MaxSources, 1)
	}
	return 1
}

// same reports whether an association of one goes on as one of the other.
// Errors are tried again.
func (s *Spec) same(o *Spec) bool {
	return s.Err == nil && o.Err == nil && reflect.DeepEqual(s.Config, o.Config) && s.Broadcast == o.Broadcast && s.TTL == o.TTL &&
		s.Key.Equal(o.Key) && sameTrust(s.TLS, o.TLS) &&
		s.Credentials == o.Credentials && s.Digest == o.Digest && reflect.DeepEqual(s.Groups, o.Groups)
}

// sameTrust reports whether the same certificates are trusted.
func sameTrust(a, b *tls.Config) bool {
	if a == nil || b == nil || a.RootCAs == nil || b.RootCAs == nil {
		return (a == nil) == (b == nil) && (a == nil || a.RootCAs == b.RootCAs)
	}
	return a.RootCAs.Equal(b.RootCAs)
}

// autokeyWith is what an Autokey association between two addresses is made of.
func (s *Spec) autokeyWith(id uint16, local, remote netip.Addr) autokey.AssociationConfig {
	return autokey.AssociationConfig{Credentials: s.Credentials, Digest: s.Digest, ID: id,
		Local: local, Remote: remote.WithZone(""), Ident: s.Config.Ident, Groups: s.Groups}
}

func (s *Spec) polling() source.Polling {
	p := source.Polling{MinPoll: int8(s.Config.MinPoll), MaxPoll: int8(s.Config.MaxPoll), IBurst: s.Config.IBurst, Burst: s.Config.Burst}
	if p.Burst {
		p.BurstLen, p.BurstGood = 4, 1 // chrony's: up to four, until one is good
	}
	return p
}

// resolve finds the address of a peer or broadcast server.
func (s *Spec) resolve(ctx context.Context) (netip.AddrPort, error) {
	f := newFinder(s.Config.Server, s.Config.Family)
	addr, err := f.take(ctx)
	return netip.AddrPortFrom(addr, uint16(s.Config.Port)), err
}

// discipline translates what the configuration says of a source.
func (s *Spec) discipline() discipline.SourceConfig {
	c := &s.Config
	return discipline.SourceConfig{
		MinPoll: c.MinPoll, MaxPoll: c.MaxPoll,
		Authenticated: c.Auth == ntp.KindSymmetric || c.Auth == ntp.KindNTS,
		NoSelect:      c.NoSelect, Prefer: c.Prefer, Trust: c.Trust, Require: c.Require,
		Offset: seconds(c.Offset), Asymmetry: c.Asymmetry,
	}
}

// info says what a source is called.
func (s *Spec) info(addr netip.Addr) clock.SourceInfo {
	return clock.SourceInfo{Name: s.Config.Server, Address: addr}
}

// seconds returns a duration of seconds as a number.
func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }
