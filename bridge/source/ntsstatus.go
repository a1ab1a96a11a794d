package source

import (
	"net/netip"
	"time"

	"ntsbridge/nts/aead"
)

// NTSStatus is what chronyc's authdata shows of a source with NTS, and more.
type NTSStatus struct {
	KE         string         // NTS-KE server
	Server     netip.AddrPort // NTP server; invalid without keys
	KeyID      uint32         // good key establishments of this run
	AEAD       aead.ID        // 0: there are no keys
	KeyLen     int            // bits, of one direction's key; 0: there are no keys
	LastKE     time.Duration  // uptime at the last good key establishment, negative in an earlier run; counts only with keys
	Attempts   int            // key establishments since the last good one
	NAKs       int            // negative acknowledgements since the last good one
	Cookies    int            // in stock, 0 to 8
	CookieLen  int            // octets
	RequestLen int            // shortest request since the last good answer, octets; 0: none
	Restored   bool           // the keys are those of an earlier run
	// Provisional: the certificate is not, or not yet, accepted by the date of
	// a clock that is right. Nothing that rests on the source may be served.
	Provisional bool
	RetryAt     time.Duration // uptime before which keys are not established again
	Err         error         // of the last key establishment
}

// Status tells about keys and cookies. Safe for concurrent use.
func (n *NTS) Status() NTSStatus { return *n.status.Load() }

// Provisional reports whether the source's certificate was accepted in spite
// of its dates, or by the floor of the date, and not again by a clock that is
// right. Safe for concurrent use.
func (n *NTS) Provisional() bool { return n.status.Load().Provisional }

// publish makes the state visible to Status.
func (n *NTS) publish() {
	st := &NTSStatus{
		KE: n.cfg.Server, KeyID: n.count, Attempts: n.attempts, Provisional: n.unconfirmed, RetryAt: n.retry, Err: n.err,
		RequestLen: n.requestLen,
	}
	if s := n.session; s != nil {
		st.Server, st.AEAD, st.KeyLen = s.server, s.keys.AEAD, 8*s.keys.AEAD.KeyLen()
		st.LastKE, st.NAKs, st.Restored = s.since, s.nakTotal, s.restored
		st.Cookies, st.CookieLen = s.client.Cookies(), s.client.CookieLen()
	}
	n.status.Store(st)
}
