package control

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	mode6 "github.com/facebook/time/ntp/control"

	"ntsbridge/bridge/ntp"
)

// model is a QuerySource that learns from captured answers.
type model struct {
	sys       SystemVariables
	assoc     []Association
	authority Authority
	listening []InterfaceVariables
	rules     []RestrictionVariables
}

func (m *model) System(now ntp.Timestamp, _ *ntp.ClockState) *SystemVariables { return &m.sys }
func (m *model) Associations(ntp.Timestamp) []Association                     { return m.assoc }
func (m *model) Authority() Authority                                         { return m.authority }
func (m *model) Interfaces() []InterfaceVariables                             { return m.listening }
func (m *model) Restrictions() []RestrictionVariables                         { return m.rules }

func (m *model) association(id uint16) *Association {
	for i := range m.assoc {
		if m.assoc[i].ID == id {
			return &m.assoc[i]
		}
	}
	return nil
}

// learn takes the status words and values of an answer over.
func (m *model) learn(t *testing.T, e *exchange) {
	var h mode6.NTPControlMsgHead
	if _, err := binary.Decode(e.answer[0], binary.BigEndian, &h); err != nil {
		t.Fatal(err)
	}
	if h.HasError() {
		return
	}
	data := e.data(t)
	if h.AssociationID == 0 && h.GetOperation() != opReadClock {
		w := mode6.ReadSystemStatusWord(h.Status)
		m.sys.Leap = ntp.Leap(w.LI)
		m.sys.Status = SystemStatus{ClockSource(w.ClockSource), w.SystemEventCounter, SystemEvent(w.SystemEventCode)}
	}
	switch {
	case h.GetOperation() == opReadClock:
		m.learnClock(t, h.AssociationID, items(t, data))
	case h.GetOperation() == mode6.OpReadStatus && h.AssociationID == 0:
		m.learnList(data)
	case h.AssociationID == 0:
		if m.sys.Autokey != nil && bytes.Contains(data, []byte("cert=")) {
			m.sys.Autokey.Certificates = nil
		}
		for _, v := range items(t, data) {
			m.sys.learn(t, v[0], v[1])
		}
	default:
		a := m.association(h.AssociationID)
		for _, v := range items(t, data) {
			a.learn(t, v[0], v[1])
		}
	}
}

func (m *model) learnList(data []byte) {
	for i := 0; i+4 <= len(data); i += 4 {
		id, word := binary.BigEndian.Uint16(data[i:]), binary.BigEndian.Uint16(data[i+2:])
		a := m.association(id)
		if a == nil {
			m.assoc = append(m.assoc, Association{ID: id})
			a = &m.assoc[len(m.assoc)-1]
		}
		a.Status = PeerStatus{Configured: word&0x8000 != 0, Authentic: word&0x2000 != 0, Broadcast: word&0x800 != 0,
			Selection: Selection(word >> 8 & 7), EventCount: uint8(word >> 4 & 15), Event: ntp.PeerEvent(word & 15)}
		if word&0x4000 != 0 && a.KeyID == 0 {
			a.KeyID = 1
		}
		if word&0x1000 != 0 && a.Reach == 0 {
			a.Reach = 1
		}
	}
}

// learnClock takes over the variables of a reference clock, which is of the
// first association unless one is named.
func (m *model) learnClock(t *testing.T, id uint16, list [][2]string) {
	if len(m.assoc) == 0 {
		m.assoc = []Association{{ID: 1}}
	}
	a := &m.assoc[0]
	if id != 0 {
		a = m.association(id)
	}
	a.Clock = new(ClockVariables)
	c := a.Clock
	for _, i := range list {
		v := scan{t, i[0], i[1]}
		switch i[0] {
		case "device":
			c.Device = v.text()
		case "timecode":
			c.Timecode = v.text()
		case "poll":
			c.Polls = v.uint()
		case "noreply":
			c.NoReply = v.uint()
		case "badformat":
			c.BadFormat = v.uint()
		case "baddata":
			c.BadData = v.uint()
		case "stratum":
			c.Stratum = uint8(v.uint())
		case "refid":
			c.ReferenceID, _ = v.refID()
		case "flags":
			c.Flags = uint8(v.uint())
		}
	}
}

// items are the names and values of an answer in text.
func items(t *testing.T, data []byte) (all [][2]string) {
	t.Helper()
	rest := strings.TrimSpace(string(data))
	for rest != "" {
		name, value, ok := strings.Cut(rest, "=")
		if !ok {
			t.Fatalf("no value in %q", rest)
		}
		if strings.HasPrefix(value, `"`) {
			end := strings.Index(value[1:], `"`) + 2
			rest, value = value[end:], value[:end]
		} else {
			end := strings.IndexByte(value+",", ',')
			rest, value = value[end:], value[:end]
		}
		all = append(all, [2]string{strings.TrimSpace(name), strings.TrimSpace(value)})
		rest = strings.TrimLeft(rest, ", \r\n")
	}
	return all
}

// scan is a value read in one of the forms of mode 6.
type scan struct {
	t     *testing.T
	name  string
	value string
}

func (s scan) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatalf("%s=%s: %v", s.name, s.value, err)
	}
}

func (s scan) uint() uint64 {
	s.t.Helper()
	v, err := strconv.ParseUint(s.value, 0, 64)
	s.must(err)
	return v
}

func (s scan) int() int64 {
	s.t.Helper()
	v, err := strconv.ParseInt(s.value, 10, 64)
	s.must(err)
	return v
}

func (s scan) float() float64 {
	s.t.Helper()
	v, err := strconv.ParseFloat(s.value, 64)
	s.must(err)
	return v
}

func (s scan) millis() time.Duration {
	s.t.Helper()
	d, err := time.ParseDuration(s.value + "ms")
	s.must(err)
	return d
}

func (s scan) text() string { return strings.Trim(s.value, `"`) }

func (s scan) timestamp() ntp.Timestamp {
	s.t.Helper()
	v, err := strconv.ParseUint(strings.Replace(strings.TrimPrefix(s.value, "0x"), ".", "", 1), 16, 64)
	s.must(err)
	return ntp.Timestamp(v)
}

func (s scan) date() time.Time {
	s.t.Helper()
	v, err := time.Parse("200601021504", s.value)
	s.must(err)
	return v
}

func (s scan) seconds() uint32 { return ntp.TimestampFromTime(s.date()).Seconds() }

// refID also tells whether it is letters.
func (s scan) refID() (uint32, bool) {
	if a, err := netip.ParseAddr(s.value); err == nil {
		b := a.As4()
		return binary.BigEndian.Uint32(b[:]), false
	}
	var b [4]byte
	copy(b[:], s.value)
	return binary.BigEndian.Uint32(b[:]), true
}

func (s *SystemVariables) learn(t *testing.T, name, value string) {
	v := scan{t, name, value}
	if s.Discipline == nil {
		s.Discipline = new(Discipline)
	}
	d := s.Discipline
	if s.Autokey == nil && slices.Contains([]string{"host", "flags", "cert"}, name) {
		s.Autokey = new(AutokeySystem)
	}
	switch name {
	case "version":
		s.Version = v.text()
	case "processor":
		s.Processor = v.text()
	case "system":
		s.System = v.text()
	case "leap":
		s.Leap = ntp.Leap(v.uint())
	case "stratum":
		s.Stratum = uint8(v.uint())
	case "precision":
		s.Precision = int8(v.int())
	case "rootdelay":
		s.RootDelay = v.millis()
	case "rootdisp":
		s.RootDispersion = v.millis()
	case "refid":
		s.ReferenceID, _ = v.refID()
	case "reftime":
		s.Reference = v.timestamp()
	case "clock":
		s.Clock = v.timestamp()
	case "peer":
		s.Peer = uint16(v.uint())
	case "peeradr":
		s.PeerAddress = netip.MustParseAddrPort(value)
	case "peermode":
		s.PeerMode = ntp.Mode(v.uint())
	case "tc":
		d.TimeConstant = uint8(v.uint())
	case "mintc":
		d.MinTimeConstant = uint8(v.uint())
	case "offset":
		d.Offset = v.millis()
	case "frequency":
		d.Frequency = v.float()
	case "sys_jitter":
		d.SystemJitter = v.millis()
	case "clk_jitter":
		d.ClockJitter = v.millis()
	case "clk_wander":
		d.Wander = v.float()
	case "tai":
		s.TAI = uint32(v.uint())
	case "leapsec":
		s.LeapSeconds = v.seconds()
	case "expire":
		s.LeapExpire = v.seconds()
	case "host":
		s.Autokey.Host = v.text()
	case "flags":
		s.Autokey.Flags = uint32(v.uint())
	case "digest":
		s.Autokey.Digest = v.text()
	case "signature":
		s.Autokey.Signature = v.text()
	case "update":
		s.Autokey.Update = v.seconds()
	case "cert":
		f := strings.Fields(v.text())
		flags := scan{t, name, f[2]}.uint()
		s.Autokey.Certificates = append(s.Autokey.Certificates, CertificateVariables{Subject: f[0], Issuer: f[1],
			Flags: CertificateFlags(flags)})
	case "until":
		s.Autokey.Certificates[len(s.Autokey.Certificates)-1].Until = v.date()
	case "bcastdelay", "authdelay": // not shown here
	default:
		t.Fatalf("system variable %s is not known", name)
	}
}

func (a *Association) learn(t *testing.T, name, value string) {
	v := scan{t, name, value}
	if a.Autokey == nil && slices.Contains([]string{"host", "flags", "ident"}, name) {
		a.Autokey = new(AutokeyAssociation)
	}
	address := func(to *netip.AddrPort) { *to = netip.AddrPortFrom(netip.MustParseAddr(value), to.Port()) }
	port := func(to *netip.AddrPort) { *to = netip.AddrPortFrom(to.Addr(), uint16(v.uint())) }
	switch name {
	case "srcadr":
		address(&a.Source)
	case "srcport":
		port(&a.Source)
	case "srchost":
		a.SourceName = v.text()
	case "dstadr":
		address(&a.Destination)
	case "dstport":
		port(&a.Destination)
	case "leap":
		a.Leap = ntp.Leap(v.uint())
	case "stratum":
		a.Stratum = uint8(v.uint())
	case "precision":
		a.Precision = int8(v.int())
	case "rootdelay":
		a.RootDelay = v.millis()
	case "rootdisp":
		a.RootDispersion = v.millis()
	case "refid":
		var letters bool
		a.ReferenceID, letters = v.refID()
		a.ReferenceClock = letters && a.Stratum > 1 && a.Stratum < 16
	case "reftime":
		a.Reference = v.timestamp()
	case "org":
		a.Origin = v.timestamp()
	case "rec":
		a.Received = v.timestamp()
	case "xleave":
		a.Interleave = v.millis()
	case "reach":
		a.Reach = uint8(v.uint())
	case "unreach":
		a.Unreach = uint32(v.uint())
	case "hmode":
		a.HostMode = ntp.Mode(v.uint())
	case "pmode":
		a.PeerMode = ntp.Mode(v.uint())
	case "hpoll":
		a.HostPoll = uint8(v.uint())
	case "ppoll":
		a.PeerPoll = uint8(v.uint())
	case "headway":
		a.Headway = uint32(v.uint())
	case "flash":
		a.Flash = uint16(v.uint())
	case "keyid":
		a.KeyID = uint32(v.uint())
	case "ttl":
		a.TTL = uint8(v.uint())
	case "offset":
		a.Offset = v.millis()
	case "delay":
		a.Delay = v.millis()
	case "dispersion":
		a.Dispersion = v.millis()
	case "jitter":
		a.Jitter = v.millis()
	case "filtdelay", "filtoffset", "filtdisp":
		for i, field := range strings.Fields(value) {
			f := &a.Filter[i]
			to := map[string]*time.Duration{"filtdelay": &f.Delay, "filtoffset": &f.Offset, "filtdisp": &f.Dispersion}[name]
			*to = scan{t, name, field}.millis()
		}
	case "timer":
		a.UntilPoll = uint32(v.uint())
	case "timerec":
		a.SinceReceived = uint32(v.uint())
	case "timereach":
		a.SinceReachable = uint32(v.uint())
	case "sent":
		a.PacketsSent = v.uint()
	case "received":
		a.PacketsIn = v.uint()
	case "badauth":
		a.BadAuth = v.uint()
	case "bogusorg":
		a.BogusOrigin = v.uint()
	case "oldpkt":
		a.Duplicates = v.uint()
	case "seldisp":
		a.BadDispersion = v.uint()
	case "selbroken":
		a.BadReference = v.uint()
	case "host":
		a.Autokey.Host = v.text()
	case "flags":
		a.Autokey.Flags = uint32(v.uint())
	case "signature":
		a.Autokey.Signature = v.text()
	case "ident":
		a.Autokey.Ident = v.text()
	case "candidate", "config", "authenable", "authentic": // of status word and key
	case "peer_var_list":
	default:
		t.Fatalf("association variable %s is not known", name)
	}
}
