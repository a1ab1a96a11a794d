package autokey

import (
	"fmt"

	"ntsbridge/autokey/keyfile"
)

// next returns the operation that the state asks for; OpNull: none. The order
// is that of ntpd.
func (a *association) next(m Moment, peerSynchronised bool) Op {
	switch {
	case a.status == 0:
		return OpAssoc
	case !a.has(FlagCERT):
		return OpCert
	case !a.has(FlagVRFY):
		return schemeOp(a.scheme)
	case !a.has(FlagCOOK) && (!a.symmetric() || m.Synchronised && peerSynchronised):
		return OpCook
	case !a.has(FlagAUTO):
		return OpAuto
	case !m.Synchronised || m.Uptime < a.signAfter:
		return OpNull
	case !a.has(FlagSIGN):
		if !a.cred.certificateValid(m.Time) {
			return OpNull // ntpd then never asks for LEAP either
		}
		return OpSign
	case !a.has(FlagLEAP):
		return OpLeap
	}
	return OpNull
}

// request builds the request of an operation.
func (a *association) request(m Moment, op Op) (Message, error) {
	h, updated := a.cred.host, a.cred.Updated()
	q := Message{Code: Request(op), AssociationID: uint32(a.id)}
	sign := false
	switch op {
	case OpAssoc:
		q.Timestamp, q.Filestamp, q.Value = updated, uint32(a.cred.Status()), []byte(h.Name)
	case OpCert:
		q.Timestamp, q.Filestamp, q.Value = m.timestamp(), updated, []byte(a.trail.wanted)
	case OpIFF, OpGQ, OpMV:
		// In symmetric modes packets cross: the answer to the last but one
		// request must do, too.
		if !a.symmetric() || a.challenge == nil {
			var err error
			if a.challenge, err = a.verifier.Challenge(a.rand); err != nil {
				return Message{}, fmt.Errorf("autokey: %v: %w", op, err)
			}
		}
		q.Timestamp, q.Filestamp, q.Value, sign = m.timestamp(), a.group.Filestamp, a.challenge, true
	case OpCook:
		q.Timestamp, q.Filestamp, sign = updated, h.HostFilestamp, true
		q.Value = keyfile.MarshalPublicKey(&h.HostKey.RSAPublicKey)
	case OpAuto:
		q.Short = true
		if !a.symmetric() {
			q.AssociationID = a.peerID
		}
	case OpSign:
		q.Timestamp, q.Filestamp, q.Value, sign = updated, h.CertificateFilestamp, h.Certificate.Raw, true
	case OpLeap:
		q.Short = true
	}
	// A host that has never been synchronised dates and signs nothing.
	if !sign || q.Timestamp == 0 {
		return q, nil
	}
	var err error
	if q.Signature, err = a.cred.sign(q.appendSigned(nil)); err != nil {
		return Message{}, fmt.Errorf("autokey: %v: %w", op, err)
	}
	return q, nil
}
