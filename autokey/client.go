package autokey

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net/netip"
	"time"

	"ntsbridge/bridge/ntp"
)

// Client is an association with a server in client/server mode: a state
// machine that is given time and packets and makes packets. It must not be
// used concurrently.
//
// For each poll the caller writes the header (mode 3), calls Prepare, sets the
// transmit timestamp, calls Seal, and sends. What comes back goes to Receive,
// which says whether the header may be used for time.
type Client struct {
	association
	out  outgoing
	sent sentPacket
	peer ntp.Leap // leap indicator of the other side
}

// outgoing is a packet between Prepare and Seal.
type outgoing struct {
	ready  bool
	id     uint32
	ops    []Op // of the requests in it
	fields []byte
}

// sentPacket is what a response must match.
type sentPacket struct {
	waiting  bool
	id       uint32
	op       Op
	hasOp    bool
	transmit ntp.Timestamp
}

// NewClient makes a client association.
func NewClient(cfg AssociationConfig) (*Client, error) {
	c := new(Client)
	if err := c.init(cfg, ntp.ModeServer); err != nil {
		return nil, err
	}
	return c, nil
}

// Restart clears all that was agreed and begins anew with ASSOC.
func (c *Client) Restart() {
	c.restart()
	c.out, c.sent = outgoing{}, sentPacket{}
}

// SetAddresses changes the addresses of the packets, as a host with a new
// address must. If they are new, the association begins anew.
func (c *Client) SetAddresses(local, remote netip.Addr) error {
	if local.Unmap() == c.cfg.Local.Unmap() && remote.Unmap() == c.cfg.Remote.Unmap() {
		return nil
	}
	cfg := c.cfg
	cfg.Local, cfg.Remote = local, remote
	if err := cfg.check(); err != nil {
		return err
	}
	c.cfg = cfg
	c.Restart()
	return nil
}

// Prepare does for the next packet what needs no timestamp: public-key
// operations and the choice of the key. poll is the poll interval.
func (c *Client) Prepare(m Moment, poll time.Duration) error {
	c.out = outgoing{fields: c.out.fields[:0]}
	if op := c.next(m, true); op != OpNull {
		q, err := c.request(m, op)
		if err != nil {
			return err
		}
		if q.len() > maxMessageLen {
			return fmt.Errorf("autokey: %v: message of %d octets, at most %d", op, q.len(), maxMessageLen)
		}
		c.out.fields = q.Append(c.out.fields)
		c.out.ops = append(c.out.ops, op)
	}
	var err error
	c.out.id, _, err = c.nextKey(m, poll, c.cookie, c.cfg.Local, c.cfg.Remote)
	c.out.ready = err == nil
	return err
}

// Asks returns the operation that the next packet carries, after Prepare;
// OpNull for none.
func (c *Client) Asks() Op {
	if len(c.out.ops) == 0 {
		return OpNull
	}
	return c.out.ops[0]
}

// Seal completes the packet: p[:48] is the final header; the message, the key
// identifier and the MAC are appended. p must have MaxResponseLen octets. The
// result is the length of the packet, 0 without Prepare.
func (c *Client) Seal(p []byte) int {
	if !c.out.ready {
		return 0
	}
	c.sent = sentPacket{
		waiting: true, id: c.out.id, op: c.Asks(), hasOp: len(c.out.ops) > 0,
		transmit: ntp.Timestamp(binary.BigEndian.Uint64(p[40:])),
	}
	c.out.ready = false
	return c.seal(p, &c.out, c.cfg.Local, c.cfg.Remote, c.cookie)
}

// seal appends fields, key identifier and MAC. A packet with fields has
// cookie 0.
func (a *association) seal(p []byte, o *outgoing, source, destination netip.Addr, cookie uint32) int {
	n := ntp.HeaderLen + copy(p[ntp.HeaderLen:], o.fields)
	if n > ntp.HeaderLen {
		cookie = 0
	}
	a.lastKey = o.id
	mac := a.scratch.MAC(a.scratch.SessionKey(source, destination, o.id, cookie), p[:n])
	binary.BigEndian.PutUint32(p[n:], o.id)
	return n + 4 + copy(p[n+4:], mac)
}

// Receive judges a packet from the server's address. With Outcome.Err the
// packet is to be dropped.
func (c *Client) Receive(m Moment, p []byte) Outcome {
	var out Outcome
	if err := c.open(p); err != nil {
		out.Err = err
		if err == ErrCryptoNAK {
			c.err = err
			if out.Restarted = c.nak(m); out.Restarted {
				c.sent.waiting = false
			}
		}
		return out
	}
	l := ntp.Classify(p, autokeyOnly{})
	sent := c.sent
	c.sent.waiting = false
	c.peer = ntp.Leap(p[0] >> 6)
	if l.Fields > 0 {
		c.message(m, p, &l, sent, &out)
		if out.Err != nil {
			return out
		}
	} else if sent.hasOp {
		out.Err = messageError(sent.op, EventLEN, "the server left out its response: too large for a packet, or of no use")
		c.err = out.Err
		return out
	}
	out.Usable = c.has(FlagPROV | FlagCOOK)
	out.Progress = !out.Waiting && c.next(m, true) != OpNull
	if out.Usable && c.refresh(m) {
		out.Restarted, out.Usable = true, false
	}
	return out
}

// autokeyOnly is the key table of packets that must be Autokey's.
type autokeyOnly struct{}

// FullMACLen implements ntp.Keys.
func (autokeyOnly) FullMACLen(uint32) (int, bool) { return 0, false }

// open checks that a packet is the answer to the last request, and its MAC.
func (c *Client) open(p []byte) error {
	l := ntp.Classify(p, autokeyOnly{})
	if l.Defect != ntp.ReasonOK && l.Defect != ntp.ReasonCryptoNAK || len(p) > MaxResponseLen || ntp.ModeOf(p) != ntp.ModeServer {
		return ErrPacket
	}
	origin := ntp.Timestamp(binary.BigEndian.Uint64(p[24:]))
	if !c.sent.waiting || origin != c.sent.transmit || origin == 0 {
		return ErrOrigin
	}
	if l.Defect == ntp.ReasonCryptoNAK {
		if len(p) != ntp.HeaderLen+4 {
			return ErrPacket
		}
		return ErrCryptoNAK
	}
	if l.Kind != ntp.KindAutokey || l.KeyID != c.sent.id {
		return ErrPacket
	}
	cookie := c.cookie
	if l.Fields > 0 {
		cookie = 0
	}
	if !c.verifyMAC(p, &l, c.cfg.Remote, c.cfg.Local, cookie) {
		return ErrMAC
	}
	return nil
}

// verifyMAC checks the MAC of a packet from source to destination.
func (a *association) verifyMAC(p []byte, l *ntp.Layout, source, destination netip.Addr, cookie uint32) bool {
	key := a.scratch.SessionKey(source, destination, l.KeyID, cookie)
	return a.scratch.verifyMAC(key, p[:l.MAC], p[l.MAC+4:])
}

// message handles the one message of a server's packet.
func (c *Client) message(m Moment, p []byte, l *ntp.Layout, sent sentPacket, out *Outcome) {
	msg, err := fieldMessage(p, ntp.HeaderLen)
	switch {
	case err != nil || l.Fields != 1:
		out.Err = messageError(sent.op, EventLEN, "%d messages, want one that is well-formed", l.Fields)
	case !sent.hasOp || msg.Code.Op() != sent.op:
		out.Err = messageError(msg.Code.Op(), EventLEN, "not what was asked for")
	default:
		c.response(m, &msg, out)
		return
	}
	c.err = out.Err
}

// fieldMessage reads the message at an offset of a packet, whose buffer may be
// used for the next one: what is in the message is kept.
func fieldMessage(p []byte, offset int) (Message, error) {
	f, ok := ntp.FieldAt(p, offset)
	if !ok {
		return Message{}, ErrMessage
	}
	return parseMessage(bytes.Clone(p[f.Offset : f.Offset+f.Length]))
}
