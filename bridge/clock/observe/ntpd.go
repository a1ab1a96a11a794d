package observe

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/facebook/time/ntp/control"

	"ntsbridge/bridge/ntp"
)

// ownVersion begins the version of this program, as it answers ntpq.
const ownVersion = "ntsbridge"

// errOurselves is what asking ourselves ends with.
var errOurselves = errors.New("it is ourselves who answer there")

// systemVariables are what ntpd is asked for: few enough for one packet.
const systemVariables = "version,leap,stratum,refid,reftime,rootdelay,rootdisp,offset"

// controlVersion is the version in a question: ntpsec answers to no other, and
// ntpd to this one too.
const controlVersion = 4

const controlHeader = 12 // octets

// askNTPD asks ntpd or ntpsec for its system variables.
func askNTPD(to netip.AddrPort, deadline time.Time) (*State, error) {
	conn, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(to))
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	if err := conn.SetDeadline(deadline); err != nil {
		return nil, err
	}
	sequence := uint16(rand.Uint32())
	if _, err := conn.Write(controlRequest(sequence)); err != nil {
		return nil, err
	}
	p := make([]byte, 1024)
	for range maxStray {
		n, err := conn.Read(p)
		if err != nil {
			return nil, err
		}
		text, ok, err := controlAnswer(p[:n], sequence)
		if err != nil {
			return nil, err
		}
		if ok {
			return fromVariables(variables(text))
		}
	}
	return nil, errors.New("ntpd: too many packets that are no answer")
}

func controlRequest(sequence uint16) []byte {
	data := []byte(systemVariables)
	var b bytes.Buffer
	_ = binary.Write(&b, binary.BigEndian, control.NTPControlMsgHead{
		VnMode: control.MakeVnMode(controlVersion, control.Mode), REMOp: control.MakeREMOp(false, false, false, control.OpReadVariables),
		Sequence: sequence, Count: uint16(len(data))}) // cannot fail: fixed size, to memory
	b.Write(data)
	b.Write(make([]byte, -len(data)&3)) // to a multiple of 4 octets, as ntpq does
	return b.Bytes()
}

// controlAnswer returns the data of an answer; ok is false for what answers
// another question.
func controlAnswer(p []byte, sequence uint16) (text string, ok bool, err error) {
	var h control.NTPControlMsgHead
	if len(p) < controlHeader || binary.Read(bytes.NewReader(p[:controlHeader]), binary.BigEndian, &h) != nil {
		return "", false, nil
	}
	if h.GetMode() != control.Mode || !h.IsResponse() || h.GetOperation() != control.OpReadVariables ||
		h.Sequence != sequence || h.AssociationID != 0 {
		return "", false, nil
	}
	if h.HasError() {
		return "", false, fmt.Errorf("ntpd: error %d for our question", h.Status>>8)
	}
	if h.HasMore() || h.Offset != 0 || int(h.Count) > len(p)-controlHeader {
		return "", false, errors.New("ntpd: an answer in parts, or cut off")
	}
	return string(p[controlHeader:][:h.Count]), true, nil
}

// variables splits "name=value, name="quoted, value"" into a map.
func variables(text string) map[string]string {
	all := map[string]string{}
	for text != "" {
		name, rest, ok := strings.Cut(text, "=")
		if !ok {
			break
		}
		var value string
		if quoted, found := strings.CutPrefix(rest, `"`); found {
			value, rest, _ = strings.Cut(quoted, `"`)
			_, text, _ = strings.Cut(rest, ",")
		} else {
			value, text, _ = strings.Cut(rest, ",")
		}
		all[strings.TrimSpace(name)] = strings.TrimSpace(value)
	}
	return all
}

// fromVariables judges system variables; ntpd's root dispersion has the offset
// in it.
func fromVariables(v map[string]string) (*State, error) {
	s := &State{Program: NTPD}
	switch version := v["version"]; {
	case strings.HasPrefix(version, ownVersion):
		return nil, errOurselves
	case strings.Contains(version, "ntpsec"):
		s.Program = NTPsec
	}
	leap, err1 := strconv.ParseUint(v["leap"], 10, 8)
	stratum, err2 := strconv.ParseUint(v["stratum"], 10, 8)
	if err1 != nil || err2 != nil || leap > uint64(ntp.LeapUnknown) || stratum > ntp.StratumUnsynchronised {
		return nil, fmt.Errorf("ntpd: leap %.8q, stratum %.8q", v["leap"], v["stratum"])
	}
	s.Leap, s.Stratum, s.ReferenceID = ntp.Leap(leap), uint8(stratum), referenceID(v["refid"])
	var ok1, ok2, ok3 bool
	s.RootDelay, ok1 = milliseconds(v["rootdelay"])
	s.RootDispersion, ok2 = milliseconds(v["rootdisp"])
	s.Offset, ok3 = milliseconds(strings.TrimPrefix(v["offset"], "-"))
	if !ok1 || !ok2 || !ok3 {
		return nil, fmt.Errorf("ntpd: rootdelay %.16q, rootdisp %.16q, offset %.16q", v["rootdelay"], v["rootdisp"], v["offset"])
	}
	s.Reference = timestamp(v["reftime"])
	return s, nil
}

func milliseconds(text string) (time.Duration, bool) {
	v, err := strconv.ParseFloat(text, 64)
	if err != nil || math.IsNaN(v) {
		return 0, false
	}
	return duration(v / 1e3)
}

// timestamp reads 0xSECONDS.FRACTION in hex; 0 if it is something else.
func timestamp(text string) ntp.Timestamp {
	seconds, fraction, _ := strings.Cut(strings.TrimPrefix(text, "0x"), ".")
	hi, err1 := strconv.ParseUint(seconds, 16, 32)
	lo, err2 := strconv.ParseUint(fraction, 16, 32)
	if err1 != nil || err2 != nil {
		return 0
	}
	return ntp.Timestamp(hi<<32 | lo)
}

// referenceID reads an address, or the up to four letters of a reference clock
// or a kiss code.
func referenceID(text string) uint32 {
	if a, err := netip.ParseAddr(text); err == nil && a.Is4() {
		b := a.As4()
		return binary.BigEndian.Uint32(b[:])
	}
	var b [4]byte
	copy(b[:], strings.Trim(text, "."))
	return binary.BigEndian.Uint32(b[:])
}
