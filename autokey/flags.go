package autokey

import (
	"fmt"

	"ntsbridge/autokey/keyfile"
)

// Status is the status word: OpenSSL's number of the certificate's signature
// algorithm in the upper half, Flags in the lower. It stands in the filestamp
// of ASSOC messages, and ntpq shows it as "flags".
type Status uint32

// Flags of the status word. The upper six belong to an association and are
// never sent.
type Flags uint16

// The flags, with the names of ntpd.
const (
	FlagENAB Flags = 0x0001 // Autokey is enabled; always set
	FlagTAI  Flags = 0x0002 // the sender has been synchronised and signed its values
	FlagPRIV Flags = 0x0010 // PC: the certificate is private
	FlagIFF  Flags = 0x0020 // IFF is offered
	FlagGQ   Flags = 0x0040 // GQ is offered
	FlagMV   Flags = 0x0080 // MV is offered
	FlagCERT Flags = 0x0100 // trusted certificate found
	FlagVRFY Flags = 0x0200 // identity confirmed or none needed
	FlagPROV Flags = 0x0400 // first signature verified after that
	FlagCOOK Flags = 0x0800 // cookie in use (AGREE)
	FlagAUTO Flags = 0x1000 // autokey values in use
	FlagSIGN Flags = 0x2000 // own certificate signed by the server
	FlagLEAP Flags = 0x4000 // leap second values received
)

// makeStatus returns a status word.
func makeStatus(nid keyfile.NID, f Flags) Status { return Status(nid)<<16 | Status(f) }

// nid returns the signature algorithm.
func (s Status) nid() keyfile.NID { return keyfile.NID(s >> 16) }

// Flags returns the flags.
func (s Status) Flags() Flags { return Flags(s) }

// String returns the status word as ntpq shows it.
func (s Status) String() string { return fmt.Sprintf("%#x", uint32(s)) }

// hostStatus returns the status word that a host with these keys sends.
// updated says that it has signed its values, which it does when its clock is
// first synchronised.
func hostStatus(h *keyfile.Host, updated bool) Status {
	f := FlagENAB
	if updated {
		f |= FlagTAI
	}
	if h.Certificate.Private {
		f |= FlagPRIV
	}
	if h.IFF != nil {
		f |= FlagIFF
	}
	if h.GQ != nil {
		f |= FlagGQ
	}
	if h.MV != nil {
		f |= FlagMV
	}
	return makeStatus(h.NID(), f)
}
