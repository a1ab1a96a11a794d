package nke

import (
	"sync/atomic"

	"ntsbridge/bridge/ntp"
	"ntsbridge/nts"
	"ntsbridge/nts/aead"
)

// Counters are what happened since the start of the server.
type Counters struct {
	Accepted uint64 // connections that came
	Active   int    // connections being served now

	// Connections that were closed before the handshake.
	RefusedAccess    [ntp.ReasonCount]uint64 // by Config.Allow, by its reason
	RefusedTotal     uint64                  // limit of connections
	RefusedPerPrefix uint64                  // limit of connections of a prefix
	RefusedRate      uint64                  // rate of a prefix
	Evicted          uint64                  // put out, under pressure, for one that came later

	// Handshakes that failed.
	HandshakeTimeout uint64 // not done in time
	HandshakeClosed  uint64 // closed or reset by the client before it said anything
	HandshakeLeft    uint64 // closed or reset by the client when it had seen our certificate
	HandshakeAlert   uint64 // client sent an alert: mostly, it does not trust our certificate
	HandshakeFailed  uint64 // no TLS, no TLS 1.3, no common algorithm, other ALPN
	HandshakeNoALPN  uint64 // client does not ask for ntske/1

	// Exchanges.
	Outcomes        [nts.OutcomeCount]uint64 // responses sent, by outcome
	ExchangeTimeout uint64                   // request not complete in time, or response not taken
	ExchangeClosed  uint64                   // client went away

	Agreed  map[aead.ID]uint64 // associations by AEAD
	Cookies map[aead.ID]uint64 // cookies issued by AEAD
}

// tally is the live form of Counters.
type tally struct {
	accepted                                         atomic.Uint64
	refusedAccess                                    [ntp.ReasonCount]atomic.Uint64
	refusedTotal, refusedPerPrefix                   atomic.Uint64
	refusedRate, evicted                             atomic.Uint64
	handshakeTimeout, handshakeClosed, handshakeLeft atomic.Uint64
	handshakeAlert, handshakeFailed, handshakeNoALPN atomic.Uint64
	outcomes                                         [nts.OutcomeCount]atomic.Uint64
	exchangeTimeout, exchangeClosed                  atomic.Uint64
	agreed, cookies                                  [len(algorithms)]atomic.Uint64
}

var algorithms = [...]aead.ID{aead.AESSIVCMAC256, aead.AESSIVCMAC384, aead.AESSIVCMAC512, aead.AES128GCMSIV}

// issued counts an agreement and its cookies.
func (t *tally) issued(id aead.ID, cookies int) {
	for i, a := range algorithms {
		if a == id {
			t.agreed[i].Add(1)
			t.cookies[i].Add(uint64(cookies))
		}
	}
}

// Counters returns a snapshot. Its numbers are each right, but not all of the
// same instant.
func (s *Server) Counters() Counters {
	t := &s.tally
	c := Counters{
		Accepted:         t.accepted.Load(),
		Active:           s.gate.connections(),
		RefusedTotal:     t.refusedTotal.Load(),
		RefusedPerPrefix: t.refusedPerPrefix.Load(),
		RefusedRate:      t.refusedRate.Load(),
		Evicted:          t.evicted.Load(),
		HandshakeTimeout: t.handshakeTimeout.Load(),
		HandshakeClosed:  t.handshakeClosed.Load(),
		HandshakeLeft:    t.handshakeLeft.Load(),
		HandshakeAlert:   t.handshakeAlert.Load(),
		HandshakeFailed:  t.handshakeFailed.Load(),
		HandshakeNoALPN:  t.handshakeNoALPN.Load(),
		ExchangeTimeout:  t.exchangeTimeout.Load(),
		ExchangeClosed:   t.exchangeClosed.Load(),
		Agreed:           make(map[aead.ID]uint64),
		Cookies:          make(map[aead.ID]uint64),
	}
	for i := range t.refusedAccess {
		c.RefusedAccess[i] = t.refusedAccess[i].Load()
	}
	for i := range t.outcomes {
		c.Outcomes[i] = t.outcomes[i].Load()
	}
	for i, id := range algorithms {
		c.Agreed[id] = t.agreed[i].Load()
		c.Cookies[id] = t.cookies[i].Load()
	}
	return c
}
