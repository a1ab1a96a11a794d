package capture

import (
	"encoding/binary"
	"net/netip"
	"time"

	"ntsbridge/bridge/fleet/inventory"
	"ntsbridge/bridge/ntp"
)

// flowKey names a connection.
type flowKey struct{ client, server netip.AddrPort }

// flow is one NTS-KE connection.
type flow struct {
	at      time.Time
	hello   bool
	sni     bool
	alpn    bool
	asked   int // octets that the client sent after its hello
	replied int // octets that the server sent after that
}

// maxFlows bounds the connections that are followed at once.
const maxFlows = 1 << 14

// leastReply is less than an answer with cookies has, and more than the server
// sends after its part of the handshake without one, octets.
const leastReply = 400

func (rd *reader) takeTCP(d *datagram) {
	k, toServer := flowKey{d.from, d.to}, true
	if !(d.to.Port() == kePort && rd.servers[d.to.Addr()]) {
		k, toServer = flowKey{d.to, d.from}, false
		if !(d.from.Port() == kePort && rd.servers[d.from.Addr()]) {
			return
		}
	}
	f := rd.flows[k]
	if f == nil {
		if !toServer || !d.tcp.SYN {
			return
		}
		if len(rd.flows) >= maxFlows {
			rd.finishFlows()
		}
		f = &flow{at: d.at}
		rd.flows[k] = f
	}
	switch n := len(d.payload); {
	case toServer && !f.hello && n > 0:
		f.hello = true
		f.sni, f.alpn = readHello(d.payload)
	case toServer:
		f.asked += n
	case f.asked > 0:
		f.replied += n
	}
	if d.tcp.RST || d.tcp.FIN && !toServer {
		rd.finishFlow(k, f)
	}
}

func (rd *reader) finishFlows() {
	for k, f := range rd.flows {
		rd.finishFlow(k, f)
	}
}

func (rd *reader) finishFlow(k flowKey, f *flow) {
	delete(rd.flows, k)
	h := &inventory.Handshake{Addr: k.client.Addr().As16(), At: ntp.TimestampFromTime(f.at)}
	switch {
	case f.replied >= leastReply:
		h.Result = inventory.HandshakeAgreed
	case f.asked > 0:
		h.Result = inventory.HandshakeTLS
	case f.hello:
		h.Result = inventory.HandshakeBroken
	default:
		h.Result = inventory.HandshakeRefused
	}
	h.Name = f.sni
	rd.inventory.SeeHandshake(h)
}

// readHello tells of a TLS ClientHello (RFC 8446, section 4.1.2) whether it has a
// server name and an application protocol. One that is cut is read as far as
// it goes.
func readHello(b []byte) (sni, alpn bool) {
	skip := func(n int) bool {
		if n > len(b) {
			b = nil
			return false
		}
		b = b[n:]
		return true
	}
	const recordHeader, handshakeHeader, versionAndRandom = 5, 4, 34
	if len(b) < recordHeader || b[0] != 22 || !skip(recordHeader+handshakeHeader+versionAndRandom) || len(b) < 1 {
		return false, false
	}
	if !skip(1+int(b[0])) || len(b) < 2 || !skip(2+int(binary.BigEndian.Uint16(b))) || len(b) < 1 || !skip(1+int(b[0])) || !skip(2) {
		return false, false
	}
	for len(b) >= 4 {
		switch binary.BigEndian.Uint16(b) {
		case 0:
			sni = true
		case 16:
			alpn = true
		}
		if !skip(4 + int(binary.BigEndian.Uint16(b[2:]))) {
			break
		}
	}
	return sni, alpn
}
