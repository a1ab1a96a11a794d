package source

import (
	"errors"
	"net/netip"
	"time"

	"ntsbridge/autokey"
	"ntsbridge/bridge/ntp"
)

// Autokey is a client association of Autokey (RFC 5906): "legacy-signed".
type Autokey struct{ Client *autokey.Client }

// Kind implements Authenticator.
func (*Autokey) Kind() ntp.Kind { return ntp.KindAutokey }

// Prepare implements Authenticator.
func (a *Autokey) Prepare(m Moment, poll time.Duration) error { return a.Client.Prepare(m, poll) }

// Seal implements Authenticator.
func (a *Autokey) Seal(p []byte) (int, error) { return sealed(a.Client.Seal(p)) }

// Open implements Authenticator.
func (a *Autokey) Open(m Moment, p []byte) Judgement { return judgement(a.Client.Receive(m, p)) }

// SetAddresses tells the addresses of the packets, which Autokey signs.
func (a *Autokey) SetAddresses(local, remote netip.Addr) error {
	return a.Client.SetAddresses(local, remote)
}

// Restart begins anew with a server that does not answer any more.
func (a *Autokey) Restart() { a.Client.Restart() }

// judgement translates an outcome.
func judgement(o autokey.Outcome) Judgement {
	j := Judgement{Usable: o.Usable, Again: o.Progress, Waiting: o.Waiting, Answer: o.Answer, Err: o.Err}
	switch {
	case errors.Is(o.Err, autokey.ErrOrigin):
		j.Err = ErrOrigin
	case errors.Is(o.Err, autokey.ErrPacket):
		j.Err = errPacket
	}
	return j
}

// AutokeyPeer is a symmetric association of Autokey.
type AutokeyPeer struct{ Peer *autokey.Peer }

// Kind implements Authenticator.
func (*AutokeyPeer) Kind() ntp.Kind { return ntp.KindAutokey }

// Prepare implements Authenticator.
func (a *AutokeyPeer) Prepare(m Moment, poll time.Duration) error { return a.Peer.Prepare(m, poll) }

// Seal implements Authenticator.
func (a *AutokeyPeer) Seal(p []byte) (int, error) { return sealed(a.Peer.Seal(p)) }

// Open implements Authenticator.
func (a *AutokeyPeer) Open(m Moment, p []byte) Judgement { return judgement(a.Peer.Receive(m, p)) }

// Restart begins anew with a peer that does not answer any more.
func (a *AutokeyPeer) Restart() { a.Peer.Restart() }

// AutokeyBroadcast makes the packets of a broadcast server with Autokey.
type AutokeyBroadcast struct{ Server *autokey.BroadcastServer }

// Kind implements Authenticator.
func (*AutokeyBroadcast) Kind() ntp.Kind { return ntp.KindAutokey }

// Prepare implements Authenticator.
func (a *AutokeyBroadcast) Prepare(m Moment, poll time.Duration) error {
	return a.Server.Prepare(m, poll)
}

// Seal implements Authenticator.
func (a *AutokeyBroadcast) Seal(p []byte) (int, error) { return sealed(a.Server.Seal(p)) }

// Open implements Authenticator: a broadcast server gets no answers.
func (*AutokeyBroadcast) Open(Moment, []byte) Judgement { return Judgement{Err: errPacket} }

// sealed is the length of a packet, or the error of one without preparation.
func sealed(n int) (int, error) {
	if n == 0 {
		return 0, errors.New("source: Autokey packet without preparation")
	}
	return n, nil
}
