package autokey

import (
	"errors"
	"fmt"
	"net/netip"
	"time"

	"ntsbridge/bridge/ntp"
)

// BroadcastConfig is what a broadcast server association is made of.
type BroadcastConfig struct {
	Credentials *Credentials // required
	// Server answers what the clients ask; it gets to know the autokey values.
	Server *Server // required
	Digest Digest
	// Local is the source, Destination the broadcast or multicast address of
	// the packets.
	Local, Destination netip.Addr
	ID                 uint16 // association ID; 0: rolled
	Automax            uint8  // as in AssociationConfig
}

// BroadcastServer makes the packets of broadcast and multicast mode: the first
// of each key list carries the autokey values, all others ASSOC, as ntpd's.
type BroadcastServer struct {
	association
	server *Server
	out    outgoing
}

// ErrNotSynchronised says that a broadcast server has nothing to send.
var ErrNotSynchronised = errors.New("autokey: not synchronised: nothing to broadcast")

// NewBroadcastServer makes a broadcast server association.
func NewBroadcastServer(cfg BroadcastConfig) (*BroadcastServer, error) {
	if cfg.Server == nil {
		return nil, fmt.Errorf("%w: no server", ErrConfig)
	}
	b := &BroadcastServer{server: cfg.Server}
	return b, b.init(AssociationConfig{
		Credentials: cfg.Credentials, Digest: cfg.Digest, Local: cfg.Local, Remote: cfg.Destination,
		ID: cfg.ID, Automax: cfg.Automax,
	}, ntp.ModeBroadcast)
}

// Prepare does for the next packet what needs no timestamp. poll is the
// interval of the broadcasts. The error is ErrNotSynchronised if the host is
// not: then nothing is to be sent.
func (b *BroadcastServer) Prepare(m Moment, poll time.Duration) error {
	b.out.ready = false
	if !m.Synchronised {
		return ErrNotSynchronised
	}
	id, fresh, err := b.nextKey(m, poll, 0, b.cfg.Local, b.cfg.Remote)
	if err != nil {
		return err
	}
	q := Message{
		Code: Request(OpAssoc) | bitResponse, Timestamp: b.cred.Updated(),
		Filestamp: uint32(b.cred.Status()), Value: []byte(b.cred.host.Name),
	}
	if fresh {
		if q, err = b.cred.autokeyMessage(m, b.keys.values()); err != nil {
			b.keys = nil
			return err
		}
		b.server.setAutokey(uint32(b.id), q)
	}
	q.AssociationID = uint32(b.id)
	b.out = outgoing{ready: true, id: id, fields: q.Append(b.out.fields[:0])}
	return nil
}

// Seal completes the packet as Client.Seal does.
func (b *BroadcastServer) Seal(p []byte) int {
	if !b.out.ready {
		return 0
	}
	b.out.ready = false
	return b.seal(p, &b.out, b.cfg.Local, b.cfg.Remote, 0)
}

// BroadcastClient follows a broadcast server. It begins with an ASSOC message
// of a broadcast; then it exchanges packets with the server as a Client does,
// until Polling is false; from then on it listens. When the sequence of key
// identifiers breaks it polls again, for new autokey values.
type BroadcastClient struct {
	Client
	lastGood time.Duration
	good     bool
	asking   time.Duration // AUTO is not asked for again before
}

// NewBroadcastClient makes an association with the server at cfg.Remote.
func NewBroadcastClient(cfg AssociationConfig) (*BroadcastClient, error) {
	b := new(BroadcastClient)
	if err := b.init(cfg, ntp.ModeBroadcast); err != nil {
		return nil, err
	}
	return b, nil
}

// Polling reports whether packets are to be exchanged with the server, whose
// address and ASSOC message are known.
func (b *BroadcastClient) Polling(m Moment) bool {
	return b.status != 0 && b.next(m, true) != OpNull
}

// ReceiveBroadcast judges a broadcast packet from the server's address to
// destination, a broadcast or multicast address. Since anybody can make such a
// packet, none of them ends a sound association.
func (b *BroadcastClient) ReceiveBroadcast(m Moment, p []byte, destination netip.Addr) Outcome {
	var out Outcome
	l := ntp.Classify(p, autokeyOnly{})
	switch {
	case l.Defect != ntp.ReasonOK || l.Kind != ntp.KindAutokey || len(p) > MaxResponseLen ||
		ntp.ModeOf(p) != ntp.ModeBroadcast || l.Fields > 1:
		out.Err = ErrPacket
	case !b.verifyMAC(p, &l, b.cfg.Remote, destination, 0):
		out.Err = ErrMAC
	case l.Fields == 1:
		b.announced(m, p, &out)
	}
	if out.Err != nil || b.status == 0 || !b.has(FlagPROV) {
		out.Progress = out.Err == nil && b.Polling(m)
		return out
	}
	if !b.sequence.follow(b.scratch, b.cfg.Remote, destination, l.KeyID, 0) {
		if m.Uptime >= b.asking {
			b.asking = m.Uptime + b.cfg.RestartInterval
			b.clear(FlagAUTO)
		}
		out.Err, b.err, out.Progress = ErrSequence, ErrSequence, b.Polling(m)
		return out
	}
	b.lastGood, b.good, b.err = m.Uptime, true, nil
	out.Usable = true
	if b.refresh(m) {
		out.Restarted, out.Usable = true, false
	}
	return out
}

// announced handles the message of a broadcast.
func (b *BroadcastClient) announced(m Moment, p []byte, out *Outcome) {
	msg, err := fieldMessage(p, ntp.HeaderLen)
	if err != nil {
		out.Err = messageError(OpNull, EventLEN, "%w", err)
		return
	}
	out.Op, out.HasMessage = msg.Code.Op(), true
	switch msg.Code {
	case Request(OpAssoc) | bitResponse:
		other := msg.AssociationID != b.peerID || !b.has(FlagCERT) && string(msg.Value) != b.peerName
		if b.status != 0 && other && b.lost(m) && b.nak(m) {
			out.Restarted = true
		}
		if b.status == 0 {
			out.Err = b.installed(b.installAssociation(m, &msg))
		}
	case Request(OpAuto) | bitResponse:
		if b.has(FlagVRFY) {
			out.Err = b.installed(b.installAutokey(&msg))
		}
	default:
		out.Err = messageError(msg.Code.Op(), EventERR, "a broadcast carries ASSOC or AUTO responses")
	}
}

// installed remembers an error for display.
func (b *BroadcastClient) installed(err error) error {
	if err != nil {
		b.err = err
	}
	return err
}

// lost reports whether nothing in sequence came for a while.
func (b *BroadcastClient) lost(m Moment) bool {
	return !b.good || m.Uptime-b.lastGood > b.cfg.RestartInterval
}
