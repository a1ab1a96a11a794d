package feed

import (
	"net/netip"

	"ntsbridge/bridge/ntp"
)

// Sighting is one request, or several of one client by one means with one
// outcome, of which it tells the last.
type Sighting struct {
	Addr        [16]byte            // of the client; IPv4 in the IPv6 form
	Header      [ntp.HeaderLen]byte // as it came
	Received    ntp.Timestamp
	Sent        ntp.Timestamp // transmit timestamp of the answer, 0 if there was none
	Key         uint32        // symmetric key identifier, AEAD of NTS (0: not known), or account of MS-SNTP
	Association uint32        // hash of the keys of an NTS association, 0: not known
	Count       uint32        // packets, at least 1
	Octets      uint16        // length of the request
	Port        uint16        // that it came from
	Kind        ntp.Kind
	Reason      ntp.Reason
	Action      ntp.Action
	Operation   uint8 // Autokey operation, 0: none
	TOS         uint8 // type of service or traffic class; see KnownTOS
	ZeroSeed    bool  // Autokey: the cookie is of seed 0, which an ntpd has
	KnownTOS    bool  // false: the socket did not tell TOS
	MAC         uint8 // octets of the MAC without the key identifier, at most 255
	nth         uint8 // of its client, means and outcome
}

// Proved tells whether the packet was authenticated: nobody else can have sent
// it. Autokey counts, as weak as it is: a stranger who only forges addresses
// has no cookie. A step of the migration refuses a symmetric key only after its
// MAC was right.
func (s *Sighting) Proved() bool { return provedBy(s.Kind, s.Reason) }

func provedBy(kind ntp.Kind, reason ntp.Reason) bool {
	return kind != ntp.KindNone && reason == ntp.ReasonOK || kind == ntp.KindSymmetric && reason == ntp.ReasonStage
}

// Address returns the client's address.
func (s *Sighting) Address() netip.Addr { return netip.AddrFrom16(s.Addr).Unmap() }

// Fill makes the sighting of a request that was judged. It does not allocate.
func (s *Sighting) Fill(req *ntp.Request, v *ntp.Verdict, sent ntp.Timestamp, association uint32) {
	s.Addr = req.From.Addr().As16()
	s.Header = [ntp.HeaderLen]byte(req.Packet[:ntp.HeaderLen])
	s.Received, s.Sent = req.Received, sent
	s.Key, s.Association = MeansKey(req, v), association
	s.Count = 1
	s.Octets, s.Port = uint16(len(req.Packet)), req.From.Port()
	s.Kind, s.Reason, s.Action = v.Kind, v.Reason, v.Action
	s.Operation = 0
	if v.Kind == ntp.KindAutokey {
		s.Operation = v.Operation
	}
	s.ZeroSeed = v.Marks.Has(ntp.ZeroSeed)
	s.TOS, s.KnownTOS = req.TOS, req.KnownTOS
	s.MAC = uint8(min(max(0, len(req.Packet)-req.Layout.MAC-4), 255))
}

// MeansKey returns what tells one means of a kind from another: the key
// identifier of a symmetric key, the AEAD of NTS, the account of MS-SNTP (kind
// none); Autokey has none, since its identifiers change with each packet.
func MeansKey(req *ntp.Request, v *ntp.Verdict) uint32 {
	switch v.Kind {
	case ntp.KindSymmetric:
		return req.Layout.KeyID
	case ntp.KindNTS:
		return uint32(v.AEAD)
	case ntp.KindNone:
		if v.Marks.Has(ntp.MSSNTP) {
			return v.KeyID
		}
	}
	return 0
}

// Worth tells whether a judged packet is one of a client: a request for time
// that has a header. What else reaches the port (answers, mode 6 and 7, noise)
// makes nobody a client.
func Worth(req *ntp.Request, v *ntp.Verdict) bool {
	if len(req.Packet) < ntp.HeaderLen || v.Action == ntp.Defer || v.Reason == ntp.ReasonMulticastSource {
		return false
	}
	switch ntp.ModeOf(req.Packet) {
	case ntp.ModeClient, ntp.ModeSymmetricActive:
		return true
	case ntp.ModeReserved:
		return ntp.VersionOf(req.Packet) == 1
	}
	return false
}
