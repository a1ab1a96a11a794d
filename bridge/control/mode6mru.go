package control

import (
	"cmp"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"ntsbridge/bridge/ntp"
)

// The operations of ntpq's mrulist (ntp_control.c of ntpd 4.2.8). A list is only
// sent to who repeats a nonce that was sent to his address within the last
// nonceLife, so that nobody else is sent it.
const (
	opReadMRU      = 10
	opRequestNonce = 12
	nonceLife      = 16 * time.Second
)

// MRUEntry is one client as mrulist shows it.
type MRUEntry struct {
	Addr        netip.AddrPort
	First, Last ntp.Timestamp
	Count       uint64
	Mode        ntp.Mode
	Version     uint8
}

// mruList answers mrulist. It keeps the list as it was when ntpq began, since it
// is asked for in parts.
type mruList struct {
	read   func() []MRUEntry // nil: there is none
	secret [32]byte
	list   []MRUEntry // oldest last packet first
	made   ntp.Timestamp
}

// mruLife is how long a list is kept for who goes on reading it.
const mruLife = 2 * time.Minute

// nonce returns what a source must repeat.
func (m *mruList) nonce(at ntp.Timestamp, from netip.Addr) string {
	b := binary.BigEndian.AppendUint64(nil, uint64(at))
	h := hmac.New(sha256.New, m.secret[:])
	h.Write(b)
	a := from.As16()
	h.Write(a[:])
	return hex.EncodeToString(append(b, h.Sum(nil)[:4]...))
}

// valid tells whether a nonce was given to this source and is not too old.
func (m *mruList) valid(nonce string, now ntp.Timestamp, from netip.Addr) bool {
	b, err := hex.DecodeString(nonce)
	if err != nil || len(b) != 12 {
		return false
	}
	at := ntp.Timestamp(binary.BigEndian.Uint64(b))
	return now.Sub(at) >= 0 && now.Sub(at) <= nonceLife && hmac.Equal([]byte(m.nonce(at, from)), []byte(nonce))
}

// answer answers one of the two operations.
func (m *mruList) answer(w *queryWriter, q *query, now ntp.Timestamp, from netip.Addr) queryError {
	if m.read == nil {
		return errOperation
	}
	if q.head.REMOp&operationMask == opRequestNonce {
		w.raw("nonce", m.nonce(now, from))
		return errNone
	}
	r, e := parseMRU(q.data)
	if e != errNone {
		return e
	}
	if !m.valid(r.nonce, now, from) {
		return errVariable // ntpd too, which makes ntpq ask for another one
	}
	begin, known := m.resume(r, now)
	if !known {
		return errVariable
	}
	w.raw("nonce", m.nonce(now, from))
	if begin > 0 { // ntpq wants to know where it goes on
		w.raw("last.older", stampText(m.list[begin-1].Last))
		w.raw("addr.older", m.list[begin-1].Addr.String())
	}
	sent := 0
	for at := begin; at < len(m.list); at++ {
		if sent == r.limit || len(w.packets) >= r.frags || w.room() < mruEntryLen {
			return errNone
		}
		m.list[at].put(w, sent)
		sent++
	}
	w.raw("now", stampText(now))
	if n := len(m.list); n > 0 {
		w.raw("last.newest", stampText(m.list[n-1].Last))
	}
	return errNone
}

// mruEntryLen is more than one entry, with its separators, takes.
const mruEntryLen = 256

func (e *MRUEntry) put(w *queryWriter, index int) {
	item := func(name, value string) { w.raw(name+"."+strconv.Itoa(index), value) }
	item("addr", e.Addr.String())
	item("last", stampText(e.Last))
	item("first", stampText(e.First))
	item("ct", strconv.FormatUint(e.Count, 10))
	item("mv", strconv.Itoa(int(e.Version)<<3|int(e.Mode)))
	item("rs", "0x0")
}

func stampText(t ntp.Timestamp) string {
	return fmt.Sprintf("0x%08x.%08x", uint32(t>>32), uint32(t))
}

// mruRequest is what a request for a part of the list says.
type mruRequest struct {
	nonce        string
	frags, limit int
	known        map[int]*MRUEntry // last entries that the asker has, 0 the newest
}

// maxMRUKnown is how many entries a request may name.
const maxMRUKnown = 64

func parseMRU(data []byte) (r mruRequest, e queryError) {
	r = mruRequest{frags: maxFragments, limit: 1 << 30, known: make(map[int]*MRUEntry)}
	for item := range strings.SplitSeq(strings.TrimRight(string(data), "\x00\r\n "), ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(item), "=")
		value = strings.Trim(strings.TrimSpace(value), `"`)
		base, number, _ := strings.Cut(name, ".")
		switch base {
		case "nonce":
			r.nonce = value
		case "frags", "limit":
			n, err := strconv.Atoi(value)
			if err != nil || n < 1 {
				return r, errFormat
			}
			if base == "frags" {
				r.frags = min(n, maxFragments)
			} else {
				r.limit = n
			}
		case "addr", "last":
			i, err := strconv.Atoi(number)
			if err != nil || i < 0 || i >= maxMRUKnown || !r.note(i, base, value) {
				return r, errFormat
			}
		case "mincount", "resall", "resany", "maxlstint", "laddr", "recent", "":
			// filters of the asker, who applies them himself as well
		default:
			return r, errVariable
		}
	}
	return r, errNone
}

func (r *mruRequest) note(i int, field, value string) bool {
	k := r.known[i]
	if k == nil {
		k = new(MRUEntry)
		r.known[i] = k
	}
	var err error
	if field == "addr" {
		k.Addr, err = netip.ParseAddrPort(value)
		return err == nil
	}
	whole, fraction, ok := strings.Cut(strings.TrimPrefix(value, "0x"), ".")
	hi, errHi := strconv.ParseUint(whole, 16, 32)
	lo, errLo := strconv.ParseUint(fraction, 16, 32)
	k.Last = ntp.Timestamp(hi<<32 | lo)
	return ok && errHi == nil && errLo == nil
}

// resume returns where a request goes on in the list, which is read anew for who
// begins. known is false if none of the entries that the asker has is in it.
func (m *mruList) resume(r mruRequest, now ntp.Timestamp) (at int, known bool) {
	if len(r.known) == 0 || m.made == 0 || now.Sub(m.made) > mruLife || now.Sub(m.made) < 0 {
		m.list, m.made = m.read(), now
		slices.SortStableFunc(m.list, func(a, b MRUEntry) int { return cmp.Compare(a.Last, b.Last) })
	}
	after := func(last ntp.Timestamp) int {
		at, _ := slices.BinarySearchFunc(m.list, last, func(e MRUEntry, t ntp.Timestamp) int { return cmp.Compare(e.Last, t) })
		return at
	}
	for i := range maxMRUKnown {
		k := r.known[i]
		if k == nil {
			continue
		}
		for at := after(k.Last); at < len(m.list) && m.list[at].Last == k.Last; at++ {
			if m.list[at].Addr == k.Addr {
				return at + 1, true
			}
		}
	}
	return 0, len(r.known) == 0
}
