package control

import (
	"fmt"
	"io"
	"slices"

	"ntsbridge/bridge/nke"
	"ntsbridge/bridge/ntp"
	"ntsbridge/bridge/server"
	"ntsbridge/nts"
)

// ServerStats are the counters since the start: chrony's first, with chronyc's
// names and meaning, then ours.
type ServerStats struct {
	NTPReceived        uint64 `json:"ntp_packets_received"`
	NTPDropped         uint64 `json:"ntp_packets_dropped"`
	CommandReceived    uint64 `json:"command_packets_received"`
	CommandDropped     uint64 `json:"command_packets_dropped"`
	LogDropped         uint64 `json:"client_log_records_dropped"`
	KEAccepted         uint64 `json:"nts_ke_connections_accepted"`
	KEDropped          uint64 `json:"nts_ke_connections_dropped"`
	Authenticated      uint64 `json:"authenticated_ntp_packets"` // symmetric keys and NTS, never Autokey
	Interleaved        uint64 `json:"interleaved_ntp_packets"`
	TimestampsHeld     int    `json:"ntp_timestamps_held"`
	TimestampSpan      uint64 `json:"ntp_timestamp_span"` // seconds
	DaemonRXTimestamps uint64 `json:"ntp_daemon_rx_timestamps"`
	DaemonTXTimestamps uint64 `json:"ntp_daemon_tx_timestamps"`
	KernelRXTimestamps uint64 `json:"ntp_kernel_rx_timestamps"`
	KernelTXTimestamps uint64 `json:"ntp_kernel_tx_timestamps"`
	HardwareRX         uint64 `json:"ntp_hardware_rx_timestamps"`
	HardwareTX         uint64 `json:"ntp_hardware_tx_timestamps"`

	Packets []PacketCount     `json:"packets"` // by kind, version and reason; only what occurred
	Answers []AnswerCount     `json:"answers"` // by kind and what was sent; only what occurred
	Modes   [8]uint64         `json:"modes"`   // packets by NTP mode
	Autokey AutokeyCount      `json:"autokey"`
	NTS     NTSCount          `json:"nts"`
	MSSNTP  MSSNTPCount       `json:"ms_sntp"`
	KE      map[string]uint64 `json:"nts_ke"` // connections by what became of them
	Queries QueryCount        `json:"queries"`

	Fastpath FastpathCount `json:"fastpath"`
	Errors   ErrorCount    `json:"errors"`
}

// PacketCount counts requests of a kind and version that came out with a
// reason; reason "ok" was answered, with time or what mode 6 asked for.
type PacketCount struct {
	Kind    string `json:"kind"`
	Version int    `json:"version"`
	Reason  string `json:"reason"`
	Count   uint64 `json:"count"`
}

// AnswerCount counts what was sent to requests of a kind.
type AnswerCount struct {
	Kind   string `json:"kind"`
	Action string `json:"action"`
	Count  uint64 `json:"count"`
}

// AutokeyCount is about legacy-signed clients.
type AutokeyCount struct {
	Operations      map[string]uint64 `json:"operations"`        // answered requests by operation
	ForeignSeed     uint64            `json:"foreign_seed"`      // packets whose cookie was made from another seed than ours
	AmplifiedIn     uint64            `json:"amplified_in"`      // octets of requests whose answers were longer
	AmplifiedOut    uint64            `json:"amplified_out"`     // octets of those answers
	SlowLaneDropped uint64            `json:"slow_lane_dropped"` // requests that found the queue for public-key work full
}

// MSSNTPCount is about members of Active Directory domains whose answers Samba
// signs. The requests are among Packets (of kind none).
type MSSNTPCount struct {
	Signed      uint64 `json:"signed"`       // answers
	Unavailable uint64 `json:"unavailable"`  // requests while Samba was not there
	LaneDropped uint64 `json:"lane_dropped"` // requests that were too many, or waited too long
}

// QueryCount is about mode 6, which ntpq speaks. The requests themselves are
// among Packets (of kind none) and Modes.
type QueryCount struct {
	OctetsIn  uint64 `json:"octets_in"`  // of answered requests
	OctetsOut uint64 `json:"octets_out"` // of their answers
}

// FastpathCount is about requests that the kernel answers (server.fastpath).
type FastpathCount struct {
	Answered uint64            `json:"answered"` // by it; they are among Packets
	Keyed    uint64            `json:"keyed"`    // of them with a symmetric key
	Frames   uint64            `json:"frames"`   // requests with NTS that came by AF_XDP; they are among Packets
	Passed   map[string]uint64 `json:"passed"`   // left to the sockets, by cause
}

// NTSCount is about NTS clients.
type NTSCount struct {
	OldCookies    uint64            `json:"old_cookies"` // packets with a cookie of a former key
	Agreed        map[string]uint64 `json:"agreed"`      // key establishments by AEAD
	CookiesIssued map[string]uint64 `json:"cookies_issued"`
}

// ErrorCount counts failures of the sockets.
type ErrorCount struct {
	Send    uint64 `json:"send"`
	Receive uint64 `json:"receive"`
}

var actionNames = map[ntp.Action]string{
	ntp.Drop: "dropped", ntp.Answer: "answered", ntp.CryptoNAK: "crypto-nak", ntp.NTSNAK: "nts-nak",
	ntp.KissRate: "kiss-rate", ntp.KissDeny: "kiss-deny", ntp.KissRestrict: "kiss-rstr",
}

var autokeyOperations = []string{"plain", "assoc", "cert", "cook", "auto", "leap", "sign", "iff", "gq", "mv"}

// AutokeyOperations are the names of the operations that are counted.
func AutokeyOperations() []string { return slices.Clone(autokeyOperations) }

// KEResults are the names under which every server counts connections of
// NTS-KE; those that an access rule refused come beside.
func KEResults() []string {
	list := []string{"refused-limit", "refused-prefix-limit", "refused-rate", "put-out", "handshake-timeout", "handshake-closed",
		"handshake-left", "handshake-alert", "handshake-failed", "handshake-no-alpn", "exchange-timeout", "exchange-closed"}
	for outcome := range nts.Outcome(nts.OutcomeCount) {
		list = append(list, outcome.String())
	}
	return list
}

// NewServerStats makes the report; ke is nil if NTS is off.
func NewServerStats(c *server.Counters, ke *nke.Counters) *ServerStats {
	s := &ServerStats{
		NTPReceived: c.Received, NTPDropped: c.Dropped(),
		Authenticated: c.Answered(ntp.KindSymmetric) + c.Answered(ntp.KindNTS),
		Interleaved:   c.Interleaved, TimestampsHeld: c.Held, TimestampSpan: uint64(c.Span),
		DaemonRXTimestamps: c.RXDaemon, DaemonTXTimestamps: c.TXDaemon,
		KernelRXTimestamps: c.RXKernel, KernelTXTimestamps: c.TXKernel - min(c.TXHardware, c.TXKernel),
		HardwareRX: c.RXHardware, HardwareTX: c.TXHardware,
		Packets: []PacketCount{}, Answers: []AnswerCount{}, Modes: c.Modes,
		Autokey: AutokeyCount{Operations: map[string]uint64{}, ForeignSeed: c.OldSecret[ntp.KindAutokey],
			AmplifiedIn: c.AmplifiedIn, AmplifiedOut: c.AmplifiedOut, SlowLaneDropped: c.SlowDropped},
		NTS:      NTSCount{OldCookies: c.OldSecret[ntp.KindNTS], Agreed: map[string]uint64{}, CookiesIssued: map[string]uint64{}},
		MSSNTP:   MSSNTPCount{Signed: c.Signed, LaneDropped: c.SignDropped},
		KE:       map[string]uint64{},
		Queries:  QueryCount{OctetsIn: c.QueryIn, OctetsOut: c.QueryOut},
		Fastpath: FastpathCount{Answered: c.Beside, Frames: c.Frames, Passed: map[string]uint64{}},
		Errors:   ErrorCount{Send: c.SendErrors, Receive: c.ReceiveErrors},
	}
	s.addPackets(c)
	s.MSSNTP.Unavailable = s.Count(ntp.KindNone.String(), ntp.ReasonNoSigner.String())
	for op, name := range autokeyOperations {
		if n := c.AutokeyOps[op]; n > 0 {
			s.Autokey.Operations[name] = n
		}
	}
	if ke != nil {
		s.addKE(ke)
	}
	return s
}

func (s *ServerStats) addPackets(c *server.Counters) {
	for k := range c.Packets {
		kind := ntp.Kind(k).String()
		for version := range c.Packets[k] {
			for reason, n := range c.Packets[k][version] {
				if n > 0 {
					s.Packets = append(s.Packets, PacketCount{kind, version, ntp.Reason(reason).String(), n})
				}
			}
		}
		for action, n := range c.Actions[k] {
			if n > 0 {
				s.Answers = append(s.Answers, AnswerCount{kind, actionNames[ntp.Action(action)], n})
			}
		}
	}
}

func (s *ServerStats) addKE(ke *nke.Counters) {
	count := func(name string, n uint64) {
		if n > 0 {
			s.KE[name] += n
		}
	}
	for reason, n := range ke.RefusedAccess {
		count("refused-"+ntp.Reason(reason).String(), n)
		s.KEDropped += n
	}
	count("refused-limit", ke.RefusedTotal)
	count("refused-prefix-limit", ke.RefusedPerPrefix)
	count("refused-rate", ke.RefusedRate)
	count("put-out", ke.Evicted)
	count("handshake-timeout", ke.HandshakeTimeout)
	count("handshake-closed", ke.HandshakeClosed)
	count("handshake-left", ke.HandshakeLeft)
	count("handshake-alert", ke.HandshakeAlert)
	count("handshake-failed", ke.HandshakeFailed)
	count("handshake-no-alpn", ke.HandshakeNoALPN)
	count("exchange-timeout", ke.ExchangeTimeout)
	count("exchange-closed", ke.ExchangeClosed)
	for outcome, n := range ke.Outcomes {
		count(nts.Outcome(outcome).String(), n)
	}
	s.KEDropped += ke.RefusedTotal + ke.RefusedPerPrefix + ke.RefusedRate
	s.KEAccepted = ke.Accepted - s.KEDropped
	for id, n := range ke.Agreed {
		s.NTS.Agreed[id.String()] = n
	}
	for id, n := range ke.Cookies {
		s.NTS.CookiesIssued[id.String()] = n
	}
}

// Count returns how many requests of a kind came out with a reason, over all
// versions.
func (s *ServerStats) Count(kind, reason string) (n uint64) {
	for _, p := range s.Packets {
		if p.Kind == kind && p.Reason == reason {
			n += p.Count
		}
	}
	return n
}

// WriteText writes the report for people: chronyc's lines, then ours.
func (s *ServerStats) WriteText(w io.Writer) error {
	t := &table{w: w}
	t.line("NTP packets received", s.NTPReceived)
	t.line("NTP packets dropped", s.NTPDropped)
	t.line("Command packets received", s.CommandReceived)
	t.line("Command packets dropped", s.CommandDropped)
	t.line("Client log records dropped", s.LogDropped)
	t.line("NTS-KE connections accepted", s.KEAccepted)
	t.line("NTS-KE connections dropped", s.KEDropped)
	t.line("Authenticated NTP packets", s.Authenticated)
	t.line("Interleaved NTP packets", s.Interleaved)
	t.line("NTP timestamps held", uint64(s.TimestampsHeld))
	t.line("NTP timestamp span", s.TimestampSpan)
	t.line("NTP daemon RX timestamps", s.DaemonRXTimestamps)
	t.line("NTP daemon TX timestamps", s.DaemonTXTimestamps)
	t.line("NTP kernel RX timestamps", s.KernelRXTimestamps)
	t.line("NTP kernel TX timestamps", s.KernelTXTimestamps)
	t.line("NTP hardware RX timestamps", s.HardwareRX)
	t.line("NTP hardware TX timestamps", s.HardwareTX)
	for _, p := range s.Packets {
		t.line(fmt.Sprintf("%s v%d %s", p.Kind, p.Version, p.Reason), p.Count)
	}
	for _, a := range s.Answers {
		t.line(fmt.Sprintf("%s sent %s", a.Kind, a.Action), a.Count)
	}
	t.group("Autokey", s.Autokey.Operations)
	t.line("Autokey foreign seed", s.Autokey.ForeignSeed)
	t.line("Autokey slow lane dropped", s.Autokey.SlowLaneDropped)
	t.line("Autokey amplified octets in", s.Autokey.AmplifiedIn)
	t.line("Autokey amplified octets out", s.Autokey.AmplifiedOut)
	t.line("NTS old cookies", s.NTS.OldCookies)
	t.group("NTS agreed", s.NTS.Agreed)
	t.group("NTS cookies issued", s.NTS.CookiesIssued)
	t.group("NTS-KE", s.KE)
	t.line("MS-SNTP signed", s.MSSNTP.Signed)
	t.line("MS-SNTP without Samba", s.MSSNTP.Unavailable)
	t.line("MS-SNTP lane dropped", s.MSSNTP.LaneDropped)
	t.line("Mode 6 octets in", s.Queries.OctetsIn)
	t.line("Mode 6 octets out", s.Queries.OctetsOut)
	t.line("Fast path answered", s.Fastpath.Answered)
	t.line("Fast path by AF_XDP", s.Fastpath.Frames)
	t.group("Fast path passed", s.Fastpath.Passed)
	t.line("Send errors", s.Errors.Send)
	t.line("Receive errors", s.Errors.Receive)
	return t.err
}

// table writes lines in the manner of chronyc.
type table struct {
	w   io.Writer
	err error
}

func (t *table) line(name string, n uint64) {
	if t.err == nil {
		_, t.err = fmt.Fprintf(t.w, "%-27s: %d\n", name, n)
	}
}

func (t *table) group(prefix string, counts map[string]uint64) {
	eachCount(counts, func(name string, n uint64) { t.line(prefix+" "+name, n) })
}

// eachCount goes through counters by name.
func eachCount(counts map[string]uint64, do func(name string, n uint64)) {
	names := make([]string, 0, len(counts))
	for name := range counts {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		do(name, counts[name])
	}
}
