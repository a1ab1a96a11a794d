package source

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"net/netip"
	"time"

	"ntsbridge/bridge/ntp"
)

// A packet that a stranger recorded is authentic under its key wherever it is
// sent from, so that it proves nobody to be there. Before a peer that we do not
// know gets an association it must have heard us: it is answered once, without
// keeping anything, and the next packet returns the timestamp of that answer.
// The last bits of it, below what clocks resolve, are a code of the address.

// errGreeted says that the packet was answered and that the next one may begin
// an association.
var errGreeted = errors.New("source: the peer is asked to show that it hears us")

const (
	// greetingBits are the bits of the code: 1 us.
	greetingBits = 12
	// greetingAge is for how long an answer counts: two of the longest usual
	// poll intervals.
	greetingAge = 2048 * time.Second
)

// Greet returns nil if a packet in symmetric active mode, authentic by auth,
// answers one of ours. Else it is answered, and the error is errGreeted.
func (h *Hub) Greet(p Packet, auth Authenticator, clock Clock) error {
	var heard ntp.Header
	heard.Decode(p.Data)
	now := clock.Now()
	if age := now.Sub(heard.Origin); age >= 0 && age <= greetingAge && heard.Origin == h.greeting(heard.Origin, p.From.Addr()) {
		return nil
	}
	ours := ntp.Header{Version: heard.Version, Mode: ntp.ModeSymmetricPassive, Poll: heard.Poll, Origin: heard.Transmit,
		Receive: p.Received}
	clock.State().Fill(&ours, now)
	ours.Transmit = h.greeting(now, p.From.Addr())
	var packet [maxPacket]byte
	ours.Encode(packet[:])
	n, err := auth.Seal(packet[:])
	if err == nil {
		err = h.cfg.Port.Send(packet[:n], p.To, p.From)
	}
	return errors.Join(errGreeted, err)
}

// greeting puts the code of an address into a timestamp.
func (h *Hub) greeting(t ntp.Timestamp, addr netip.Addr) ntp.Timestamp {
	t &^= 1<<greetingBits - 1
	mac := hmac.New(sha256.New, h.secret[:])
	b := addr.Unmap().As16()
	mac.Write(binary.BigEndian.AppendUint64(b[:], uint64(t)))
	return t | ntp.Timestamp(binary.BigEndian.Uint16(mac.Sum(nil)))&(1<<greetingBits-1)
}
