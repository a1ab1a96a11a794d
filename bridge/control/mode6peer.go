package control

import (
	"encoding/binary"
	"net/netip"
	"strings"
	"time"

	"ntsbridge/bridge/ntp"
)

// Selection is what the clock selection made of an association (RFC 9327,
// section 3.2).
type Selection uint8

// The selections, with the names and numbers of ntpq's "condition".
const (
	SelectReject     Selection = 0
	SelectFalsetick  Selection = 1
	SelectExcess     Selection = 2
	SelectOutlier    Selection = 3
	SelectCandidate  Selection = 4
	SelectBackup     Selection = 5
	SelectSystemPeer Selection = 6
	SelectPPSPeer    Selection = 7
)

// PeerStatus is the peer status word without the bits that follow from other
// fields: authentication enabled (a key) and reachable.
type PeerStatus struct {
	Configured bool // not ephemeral
	Authentic  bool // the last packet was
	Broadcast  bool // we send broadcast or multicast
	Selection  Selection
	EventCount uint8 // 0 to 15
	Event      ntp.PeerEvent
}

// The bits of the word. (RFC 1305 has the two of authentication the other way
// round, and so has the codec of facebook/time; this is ntpd and RFC 9327.)
const (
	statusConfigured = 0x8000
	statusAuthEnable = 0x4000
	statusAuthentic  = 0x2000
	statusReachable  = 0x1000
	statusBroadcast  = 0x0800
)

func (s PeerStatus) word(key, reachable bool) uint16 {
	word := uint16(s.Selection&7)<<8 | uint16(s.EventCount&15)<<4 | uint16(s.Event&15)
	for _, b := range []struct {
		set bool
		bit uint16
	}{{s.Configured, statusConfigured}, {key, statusAuthEnable}, {s.Authentic, statusAuthentic},
		{reachable, statusReachable}, {s.Broadcast, statusBroadcast}} {
		if b.set {
			word |= b.bit
		}
	}
	return word
}

// filterStages is the length of the clock filter (RFC 5905, section 10).
const filterStages = 8

// FilterSample is one stage of the clock filter. An empty one has 16 s of
// dispersion.
type FilterSample struct{ Delay, Offset, Dispersion time.Duration }

// Association is what ntpq shows of an association, with ntpd's names in
// comments where they differ.
type Association struct {
	ID     uint16 // 1 to 65535
	Status PeerStatus

	Source         netip.AddrPort // the other side (srcadr, srcport)
	SourceName     string         // as configured, if not by address (srchost)
	Destination    netip.AddrPort // this side (dstadr, dstport)
	Leap           ntp.Leap
	Stratum        uint8 // 0 to 16
	Precision      int8  // log2 seconds
	RootDelay      time.Duration
	RootDispersion time.Duration
	ReferenceID    uint32
	ReferenceClock bool          // it is a reference clock: identifier and ttl are shown as ntpd does then
	Reference      ntp.Timestamp // reftime
	Origin         ntp.Timestamp // org
	Received       ntp.Timestamp // rec
	Reach          uint8         // reachability register
	Unreach        uint32        // polls without answer
	HostMode       ntp.Mode      // ours (hmode)
	PeerMode       ntp.Mode      // the other side's (pmode)
	HostPoll       uint8         // log2 seconds (hpoll)
	PeerPoll       uint8         // log2 seconds (ppoll)
	Headway        uint32        // seconds
	Flash          uint16        // tests failed (RFC 5905, appendix A.1.1)
	KeyID          uint32        // 0: none; above 65535 of Autokey
	TTL            uint8         // of broadcast packets, or mode of a reference clock
	Offset         time.Duration
	Delay          time.Duration
	Dispersion     time.Duration
	Jitter         time.Duration
	Interleave     time.Duration              // delay within this host (xleave)
	Bias           time.Duration              // fudge of an asymmetric path
	Filter         [filterStages]FilterSample // newest first

	SinceReceived  uint32 // seconds since the last packet (timerec)
	UntilPoll      uint32 // seconds (timer)
	SinceReachable uint32 // seconds since reachability changed (timereach)
	PacketsSent    uint64 // sent
	PacketsIn      uint64 // received
	BadAuth        uint64 // packets with wrong authentication
	BogusOrigin    uint64 // packets that answer nothing that we sent (bogusorg)
	Duplicates     uint64 // oldpkt
	BadDispersion  uint64 // packets with too large a dispersion (seldisp)
	BadReference   uint64 // packets with a wrong reference time (selbroken)

	Autokey *AutokeyAssociation // nil: no Autokey here
	Clock   *ClockVariables     // of a reference clock; nil: it is none
	Cookies int                 // NTS, in stock (ntpsec's ntscookies)
	NTS     bool                // authentication is enabled by it

	// System is what the status word of the system says while this is the
	// system peer; 0: what follows from the rest.
	System ClockSource
}

// AutokeyAssociation is Autokey's part of an association.
type AutokeyAssociation struct {
	Host      string // the other side's subject name, empty: not known yet
	Flags     uint32 // status word, 0: not known yet
	Signature string // algorithm of the other side's certificate, OpenSSL's long name
	Ident     string // its group, empty: none
	// Values are the autokey values received (broadcast and symmetric modes);
	// nil: none.
	Values *AutokeyReceived
}

// AutokeyReceived are autokey values (RFC 5906, section 10.4).
type AutokeyReceived struct {
	Sequence  int32  // initsequence
	KeyID     uint32 // initkey
	Timestamp uint32 // NTP seconds
}

type associationVariable = variable[Association]

// associationVariables are in the order of ntpd's table, in which they are
// answered when asked for by name.
var associationVariables = []associationVariable{
	{"config", func(w *queryWriter, n string, a *Association) { w.bool(n, a.Status.Configured) }},
	{"authenable", func(w *queryWriter, n string, a *Association) { w.bool(n, !a.signed()) }}, // the wrong way round, as in ntpd
	{"authentic", func(w *queryWriter, n string, a *Association) { w.bool(n, a.Status.Authentic) }},
	{"srcadr", func(w *queryWriter, n string, a *Association) { w.raw(n, showAddress(a.Source)) }},
	{"srcport", func(w *queryWriter, n string, a *Association) { w.uint(n, uint64(a.Source.Port())) }},
	{"dstadr", func(w *queryWriter, n string, a *Association) { w.raw(n, showAddress(a.Destination)) }},
	{"dstport", func(w *queryWriter, n string, a *Association) { w.uint(n, uint64(a.Destination.Port())) }},
	{"leap", func(w *queryWriter, n string, a *Association) { w.uint(n, uint64(a.Leap)) }},
	{"hmode", func(w *queryWriter, n string, a *Association) { w.uint(n, uint64(a.HostMode)) }},
	{"stratum", func(w *queryWriter, n string, a *Association) { w.uint(n, uint64(a.Stratum)) }},
	{"ppoll", func(w *queryWriter, n string, a *Association) { w.uint(n, uint64(a.PeerPoll)) }},
	{"hpoll", func(w *queryWriter, n string, a *Association) { w.uint(n, uint64(a.HostPoll)) }},
	{"precision", func(w *queryWriter, n string, a *Association) { w.int(n, int64(a.Precision)) }},
	{"rootdelay", func(w *queryWriter, n string, a *Association) { w.millis(n, a.RootDelay, 3) }},
	{"rootdisp", func(w *queryWriter, n string, a *Association) { w.millis(n, a.RootDispersion, 3) }},
	{"refid", func(w *queryWriter, n string, a *Association) {
		w.refID(n, a.ReferenceID, a.Stratum, a.ReferenceClock)
	}},
	{"reftime", func(w *queryWriter, n string, a *Association) { w.timestamp(n, a.Reference) }},
	{"org", func(w *queryWriter, n string, a *Association) { w.timestamp(n, a.Origin) }},
	{"rec", func(w *queryWriter, n string, a *Association) { w.timestamp(n, a.Received) }},
	{"xleave", func(w *queryWriter, n string, a *Association) { putNonzero(w, n, a.Interleave) }},
	{"reach", func(w *queryWriter, n string, a *Association) { w.hex(n, uint64(a.Reach)) }},
	{"unreach", func(w *queryWriter, n string, a *Association) { w.uint(n, uint64(a.Unreach)) }},
	{"timer", func(w *queryWriter, n string, a *Association) { w.uint(n, uint64(a.UntilPoll)) }},
	{"delay", func(w *queryWriter, n string, a *Association) { w.millis(n, a.Delay, 3) }},
	{"offset", func(w *queryWriter, n string, a *Association) { w.millis(n, a.Offset, 3) }},
	{"jitter", func(w *queryWriter, n string, a *Association) { w.millis(n, a.Jitter, 3) }},
	{"dispersion", func(w *queryWriter, n string, a *Association) { w.millis(n, a.Dispersion, 3) }},
	{"keyid", putKeyID},
	{"filtdelay", filtered(func(s *FilterSample) time.Duration { return s.Delay })},
	{"filtoffset", filtered(func(s *FilterSample) time.Duration { return s.Offset })},
	{"pmode", func(w *queryWriter, n string, a *Association) { w.uint(n, uint64(a.PeerMode)) }},
	{"received", func(w *queryWriter, n string, a *Association) { w.uint(n, a.PacketsIn) }},
	{"sent", func(w *queryWriter, n string, a *Association) { w.uint(n, a.PacketsSent) }},
	{"filtdisp", filtered(func(s *FilterSample) time.Duration { return s.Dispersion })},
	{"flash", func(w *queryWriter, n string, a *Association) { w.hex(n, uint64(a.Flash)) }},
	{"ttl", func(w *queryWriter, n string, a *Association) {
		if a.TTL > 0 || a.ReferenceClock {
			w.uint(n, uint64(a.TTL))
		}
	}},
	{"peer_var_list", nil},
	{"in", noValue[Association]},
	{"out", noValue[Association]},
	{"headway", func(w *queryWriter, n string, a *Association) { w.uint(n, uint64(a.Headway)) }},
	{"bias", func(w *queryWriter, n string, a *Association) { putNonzero(w, n, a.Bias) }},
	{"srchost", func(w *queryWriter, n string, a *Association) { putName(w, n, a.SourceName) }},
	{"timerec", func(w *queryWriter, n string, a *Association) { w.uint(n, uint64(a.SinceReceived)) }},
	{"timereach", func(w *queryWriter, n string, a *Association) { w.uint(n, uint64(a.SinceReachable)) }},
	{"badauth", func(w *queryWriter, n string, a *Association) { w.uint(n, a.BadAuth) }},
	{"bogusorg", func(w *queryWriter, n string, a *Association) { w.uint(n, a.BogusOrigin) }},
	{"oldpkt", func(w *queryWriter, n string, a *Association) { w.uint(n, a.Duplicates) }},
	{"seldisp", func(w *queryWriter, n string, a *Association) { w.uint(n, a.BadDispersion) }},
	{"selbroken", func(w *queryWriter, n string, a *Association) { w.uint(n, a.BadReference) }},
	{"candidate", func(w *queryWriter, n string, a *Association) { w.uint(n, uint64(a.Status.Selection)) }},
	{"flags", withAutokey(func(w *queryWriter, n string, k *AutokeyAssociation) {
		if k.Flags != 0 {
			w.hex(n, uint64(k.Flags))
		}
	})},
	{"host", withAutokey(func(w *queryWriter, n string, k *AutokeyAssociation) { putName(w, n, k.Host) })},
	{"valid", noValue[Association]},
	{"initsequence", withAutokey(putAutokeyValues)},
	{"initkey", noValue[Association]},   // comes with initsequence
	{"timestamp", noValue[Association]}, // likewise
	{"signature", withAutokey(func(w *queryWriter, n string, k *AutokeyAssociation) {
		if k.Flags != 0 {
			putName(w, n, k.Signature)
		}
	})},
	{"ident", withAutokey(func(w *queryWriter, n string, k *AutokeyAssociation) { putName(w, n, k.Ident) })},
	{"ntscookies", func(w *queryWriter, n string, a *Association) { w.int(n, a.cookies()) }}, // ntpsec's
}

// cookies is how many there are as ntpsec shows it: -1 without NTS.
func (a *Association) cookies() int64 {
	if !a.NTS {
		return -1
	}
	return int64(a.Cookies)
}

// defaultAssociationVariables are those of "rv ASSOC".
var defaultAssociationVariables = append(pick(associationVariables,
	"srcadr", "srcport", "srchost", "dstadr", "dstport", "leap", "stratum", "precision", "rootdelay",
	"rootdisp", "refid", "reftime", "rec", "reach", "unreach", "hmode", "pmode", "hpoll", "ppoll",
	"headway", "flash", "keyid", "ttl", "offset", "delay", "dispersion", "jitter", "xleave", "bias",
	"filtdelay", "filtoffset", "filtdisp", "host", "flags", "signature", "initsequence", "ident"),
	associationVariable{"ntscookies", func(w *queryWriter, n string, a *Association) {
		if a.NTS { // else ntpsec alone shows it
			w.int(n, a.cookies())
		}
	}})

func init() {
	associationVariables[indexVariable(associationVariables, "peer_var_list")].put = func(w *queryWriter, n string, _ *Association) {
		w.quotedList(n, listed(n, associationVariables[:indexVariable(associationVariables, "ntscookies")]))
	}
}

// withAutokey makes a variable of one that there is only with Autokey.
func withAutokey(put func(*queryWriter, string, *AutokeyAssociation)) func(*queryWriter, string, *Association) {
	return func(w *queryWriter, n string, a *Association) {
		if a.Autokey != nil {
			put(w, n, a.Autokey)
		}
	}
}

// filtered makes a variable of one field of the clock filter.
func filtered(field func(*FilterSample) time.Duration) func(*queryWriter, string, *Association) {
	return func(w *queryWriter, n string, a *Association) {
		var s strings.Builder
		for i := range a.Filter {
			s.WriteString(" " + formatMillis(field(&a.Filter[i]), 2))
		}
		w.raw(n, s.String())
	}
}

func showAddress(a netip.AddrPort) string {
	if !a.IsValid() {
		return "0.0.0.0"
	}
	return a.Addr().String()
}

// signed reports whether authentication is enabled: by a key, by Autokey, whose
// key is another one in each packet, or by NTS.
func (a *Association) signed() bool { return a.KeyID != 0 || a.Autokey != nil || a.NTS }

func putKeyID(w *queryWriter, n string, a *Association) {
	if a.KeyID > 65535 {
		w.hex(n, uint64(a.KeyID))
		return
	}
	w.uint(n, uint64(a.KeyID))
}

func putNonzero(w *queryWriter, n string, d time.Duration) {
	if d != 0 {
		w.millis(n, d, 3)
	}
}

func putName(w *queryWriter, n, name string) {
	if name != "" {
		w.quoted(n, name)
	}
}

func putAutokeyValues(w *queryWriter, n string, k *AutokeyAssociation) {
	if v := k.Values; v != nil {
		w.int(n, int64(v.Sequence))
		w.hex("initkey", uint64(v.KeyID))
		w.dateNTP("timestamp", v.Timestamp)
	}
}

// putAssociations adds the association list: identifiers and status words.
func putAssociations(w *queryWriter, list []Association) {
	for i := range list {
		if w.room() < 4 {
			return
		}
		if len(w.data)+4 > queryDataLen {
			w.flush(true)
		}
		a := &list[i]
		w.data = binary.BigEndian.AppendUint16(w.data, a.ID)
		w.data = binary.BigEndian.AppendUint16(w.data, a.Status.word(a.signed(), a.Reach != 0))
	}
}
