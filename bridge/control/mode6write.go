package control

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"

	mode6 "github.com/facebook/time/ntp/control"

	"ntsbridge/bridge/ntp"
)

// maxTextLen is how much of a text is shown, octets.
const maxTextLen = 255

// lineLen is where ntpd breaks the lines of an answer, octets.
const lineLen = 72

const (
	queryHeaderLen = 12  // octets (RFC 9327, figure 1)
	queryDataLen   = 468 // octets of data in one packet, at most
	// maxFragments is how many packets one answer has at most; ntpq takes no
	// more.
	maxFragments = 32
	// maxValueLen is the length of a value that a request for a variable may
	// carry, octets. It is of no use when reading.
	maxValueLen = 127
)

// queryError is the error code in the upper half of the status of an error
// response (RFC 9327, section 3, figure 5).
type queryError uint8

const (
	errNone        queryError = 0
	errPermission  queryError = 1 // authentication is missing
	errFormat      queryError = 2 // invalid message length or format
	errOperation   queryError = 3 // invalid operation code
	errAssociation queryError = 4 // unknown association identifier
	errVariable    queryError = 5 // unknown variable name
)

// queryWriter makes the packets of an answer: items separated by commas, in
// lines, cut into fragments where ntpd cuts them.
type queryWriter struct {
	head    mode6.NTPControlMsgHead
	packets [][]byte
	data    []byte // of the fragment that is being filled
	offset  int    // of that fragment
	line    int    // length of the last line
	started bool   // there has been an item
	text    bool   // items are text
	auth    authentication
}

func newQueryWriter(request *mode6.NTPControlMsgHead, leap ntp.Leap) *queryWriter {
	return &queryWriter{head: mode6.NTPControlMsgHead{
		VnMode:        uint8(leap)<<6 | mode6.MakeVnMode(request.GetVersion(), mode6.Mode),
		REMOp:         mode6.MakeREMOp(true, false, false, int(request.GetOperation())),
		Sequence:      request.Sequence,
		AssociationID: request.AssociationID,
	}}
}

// status sets the status word of the answer.
func (w *queryWriter) status(word uint16) { w.head.Status = word }

// failure returns an error response.
func (w *queryWriter) failure(e queryError) []byte {
	h := w.head
	h.REMOp = mode6.MakeREMOp(true, true, false, int(h.GetOperation()))
	h.Status = uint16(e) << 8
	return w.auth.seal(appendHead(nil, &h), false)
}

func appendHead(dst []byte, h *mode6.NTPControlMsgHead) []byte {
	dst, err := binary.Append(dst, binary.BigEndian, h)
	if err != nil {
		panic(err) // the structure has a fixed size
	}
	return dst
}

// room returns how many octets of data the answer can still take.
func (w *queryWriter) room() int { return (maxFragments-len(w.packets))*queryDataLen - len(w.data) }

// flush makes a packet of what is there.
func (w *queryWriter) flush(more bool) {
	if !more && w.text && len(w.data)+2 < queryDataLen {
		w.data = append(w.data, '\r', '\n')
	}
	h := w.head
	h.REMOp = mode6.MakeREMOp(true, false, more, int(h.GetOperation()))
	h.Offset, h.Count = uint16(w.offset), uint16(len(w.data))
	p := append(appendHead(nil, &h), w.data...)
	for len(p)%4 != 0 {
		p = append(p, 0)
	}
	w.packets = append(w.packets, w.auth.seal(p, true))
	w.offset += len(w.data)
	w.data = w.data[:0]
}

// finish ends the answer.
func (w *queryWriter) finish() [][]byte {
	w.flush(false)
	return w.packets
}

// item adds an item of text. What does not fit into 32 fragments is left out.
func (w *queryWriter) item(s string) {
	if w.room() < len(s)+6 { // with comma and ends of lines
		return
	}
	w.text = true
	if w.started {
		w.data = append(w.data, ',')
		w.line++
		if len(s)+w.line+1 >= lineLen {
			w.data = append(w.data, '\r', '\n')
			w.line = 0
		} else {
			w.data = append(w.data, ' ')
			w.line++
		}
	}
	w.line += len(s)
	for len(s)+len(w.data)+3 > queryDataLen { // room for a comma and the end of a line
		n := min(len(s), queryDataLen-len(w.data))
		w.data = append(w.data, s[:n]...)
		s = s[n:]
		w.flush(true)
	}
	w.data = append(w.data, s...)
	w.started = true
}

func (w *queryWriter) raw(name, value string) { w.item(name + "=" + value) }

func (w *queryWriter) uint(name string, v uint64) { w.raw(name, strconv.FormatUint(v, 10)) }

func (w *queryWriter) int(name string, v int64) { w.raw(name, strconv.FormatInt(v, 10)) }

func (w *queryWriter) hex(name string, v uint64) { w.raw(name, "0x"+strconv.FormatUint(v, 16)) }

func (w *queryWriter) bool(name string, v bool) {
	n := uint64(0)
	if v {
		n = 1
	}
	w.uint(name, n)
}

// quoted adds a text between quotes. What would end it or the item, or is no
// visible ASCII, becomes a dot: names come from other hosts' certificates.
func (w *queryWriter) quoted(name, v string) {
	v = strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' || r == '"' {
			return '.'
		}
		return r
	}, v)
	w.raw(name, `"`+v[:min(len(v), maxTextLen)]+`"`)
}

// quotedList adds names, which may be long.
func (w *queryWriter) quotedList(name, list string) { w.raw(name, `"`+list+`"`) }

// millis adds a time in milliseconds.
func (w *queryWriter) millis(name string, d time.Duration, digits int) {
	w.raw(name, formatMillis(d, digits))
}

func formatMillis(d time.Duration, digits int) string {
	return strconv.FormatFloat(float64(d)/1e6, 'f', digits, 64)
}

// formatPPM shows parts per million.
func formatPPM(v float64) string { return strconv.FormatFloat(v, 'f', 3, 64) }

func (w *queryWriter) timestamp(name string, t ntp.Timestamp) {
	w.raw(name, fmt.Sprintf("0x%08x.%08x", uint32(t>>32), uint32(t)))
}

// date adds a moment to the minute, UTC.
func (w *queryWriter) date(name string, t time.Time) { w.raw(name, t.UTC().Format("200601021504")) }

// datePivot decides the era of NTP seconds: 1970 to 2106 as ntpd's, which has
// them as 32 bits of Unix time.
var datePivot = time.Unix(1<<31, 0)

// dateNTP is date for NTP seconds.
func (w *queryWriter) dateNTP(name string, seconds uint32) {
	w.date(name, ntp.Timestamp(uint64(seconds)<<32).Time(datePivot))
}

// refID adds a reference identifier: letters for a clock and below stratum 2
// and at stratum 16, else an address.
func (w *queryWriter) refID(name string, id uint32, stratum uint8, clock bool) {
	b := [4]byte(binary.BigEndian.AppendUint32(nil, id))
	if stratum > 1 && stratum < ntp.StratumUnsynchronised && !clock {
		w.raw(name, netip.AddrFrom4(b).String())
		return
	}
	letters, _, _ := strings.Cut(string(b[:]), "\x00")
	out := []byte(letters)
	for i, c := range out {
		if c < ' ' || c > '~' {
			out[i] = '.'
		}
	}
	w.raw(name, string(out))
}
