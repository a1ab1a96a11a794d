package control

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"slices"
)

// This is the reading half of chrony's command protocol, version 6, as chronyd
// 4.3 and 4.6 answer it (candm.h and pktlength.c, which are facts here, not
// text): what chronyc's tracking, sources, sourcestats, selectdata, authdata,
// ntpdata, serverstats and activity ask. All else is not authorised.
//
// A reply is never longer than its request: chronyc fills requests up to the
// length of the reply that it knows. So the length of a request tells which of
// two forms of a reply its version understands.

// The numbers of the commands, and of the replies.
const (
	askSources, askSource, askTracking, askStats, askActivity, askServer = 14, 15, 33, 34, 44, 54
	askData, askName, askAuth, askSelect                                 = 57, 65, 67, 69

	tellNothing, tellSources, tellSource, tellTracking, tellStats, tellActivity = 1, 2, 3, 5, 6, 12
	tellData, tellName, tellAuth, tellSelect                                    = 16, 19, 20, 23
	tellServer2, tellServer3, tellServer4, tellData2                            = 22, 24, 25, 26
)

// lastCommand is the largest number that chronyd 4.6 knows.
const lastCommand = 72

// chronyStatus is what came of a request.
type chronyStatus uint16

const (
	chronyDone     chronyStatus = 0
	chronyUnauth   chronyStatus = 2
	chronyInvalid  chronyStatus = 3
	chronyNoSource chronyStatus = 4
	chronyInactive chronyStatus = 15
	chronyVersion  chronyStatus = 18
	chronyLength   chronyStatus = 19
)

// The packets (candm.h: CMD_Request, CMD_Reply).
const (
	chronyProtocol      = 6
	chronyRequest       = 1
	chronyReply         = 2
	chronyRequestLen    = 20 // octets of a request's head
	chronyReplyLen      = 28 // octets of a reply's head
	chronyOldestVersion = 5  // that is told of a version which it does not have
)

// ChronyReports are what chronyc can ask, as of a moment.
type ChronyReports struct {
	Tracking    *Tracking
	Sources     []Source
	SourceStats []SourceStats
	AuthData    []AuthData
	SelectData  []SelectData
	Snapshots   []SourceSnapshot // for ntpdata and activity
	ServerStats *ServerStats
}

// Chrony makes the reports of a snapshot.
func (s *Snapshot) Chrony(stats *ServerStats) *ChronyReports {
	return &ChronyReports{Tracking: s.Tracking(), Sources: s.SourceList(), SourceStats: s.SourceStatsList(), AuthData: s.AuthDataList(),
		SelectData: s.SelectDataList(), Snapshots: s.Sources, ServerStats: stats}
}

// RespondChrony answers a request, of any octets, and returns the reply: nil for
// what chronyd ignores. reports is asked at most once.
func RespondChrony(reports func() *ChronyReports, request []byte) []byte {
	if len(request) < chronyRequestLen || request[1] != chronyRequest || request[2] != 0 || request[3] != 0 {
		return nil
	}
	command := binary.BigEndian.Uint16(request[4:])
	reply := func(status chronyStatus, kind uint16, body []byte) []byte {
		var w chronyWriter
		w.put(uint8(chronyProtocol), uint8(chronyReply), uint16(0), command, kind, uint16(status), [3]uint16{}, request[8:12], [2]uint32{})
		return append(w.Bytes(), body...)
	}
	switch {
	case request[0] != chronyProtocol && request[0] < chronyOldestVersion:
		return nil
	case request[0] != chronyProtocol:
		return reply(chronyVersion, tellNothing, nil)
	case command > lastCommand:
		return reply(chronyInvalid, tellNothing, nil)
	case !slices.Contains([]uint16{askSources, askSource, askTracking, askStats, askActivity, askServer, askData, askName, askAuth,
		askSelect}, command):
		return reply(chronyUnauth, tellNothing, nil)
	case len(request) < chronyReplyLen:
		return reply(chronyLength, tellNothing, nil)[:len(request)]
	}
	q := chronyQuestion{reports(), request[chronyRequestLen:], len(request) - chronyReplyLen}
	status, kind, body := q.answer(command)
	if len(body) > q.room {
		return reply(chronyLength, tellNothing, nil)
	}
	if status != chronyDone {
		kind = tellNothing
	}
	return reply(status, kind, body)
}

// chronyQuestion is a request that can be answered.
type chronyQuestion struct {
	*ChronyReports
	data []byte // behind the head
	room int    // octets that the reply may have behind its head
}

func (q *chronyQuestion) answer(command uint16) (status chronyStatus, kind uint16, body []byte) {
	w := new(chronyWriter)
	switch command {
	case askSources:
		kind = tellSources
		w.put(uint32(len(q.Sources)))
	case askSource:
		kind, status = tellSource, byIndex(q, q.Sources, w.source)
	case askStats:
		kind, status = tellStats, byIndex(q, q.SourceStats, w.stats)
	case askSelect:
		kind, status = tellSelect, byIndex(q, q.SelectData, w.selects)
	case askTracking:
		kind = tellTracking
		w.tracking(q.Tracking)
	case askName:
		kind, status = tellName, q.name(w)
	case askAuth:
		kind, status = tellAuth, byAddress(q, q.AuthData, func(a *AuthData) (string, string) { return a.Name, a.Address }, w.auth)
	case askData:
		return q.ntpData(w)
	case askActivity:
		kind = tellActivity
		w.activity(q.Snapshots)
	case askServer:
		return q.serverStats(w)
	}
	return status, kind, w.Bytes()
}

// byIndex writes the report on the source whose number is asked for.
func byIndex[T any](q *chronyQuestion, list []T, write func(*chronyQuestion, *T)) chronyStatus {
	if len(q.data) < 4 {
		return chronyLength
	}
	index := binary.BigEndian.Uint32(q.data)
	if uint64(index) >= uint64(len(list)) {
		return chronyNoSource
	}
	write(q, &list[index])
	return chronyDone
}

// byAddress writes the report on the source whose address is asked for.
func byAddress[T any](q *chronyQuestion, list []T, called func(*T) (name, address string), write func(*chronyQuestion, *T)) chronyStatus {
	if len(q.data) < chronyAddressLen {
		return chronyLength
	}
	for i := range list {
		name, address := called(&list[i])
		if bytes.Equal(q.address(name, address), q.data[:chronyAddressLen]) {
			write(q, &list[i])
			return chronyDone
		}
	}
	return chronyNoSource
}

// name writes the name under which a source was configured.
func (q *chronyQuestion) name(w *chronyWriter) chronyStatus {
	return byAddress(q, q.Sources, func(s *Source) (string, string) { return s.Name, s.Address }, func(_ *chronyQuestion, s *Source) {
		var name [256]byte
		copy(name[:255], s.Name)
		w.put(name)
	})
}

func (q *chronyQuestion) ntpData(w *chronyWriter) (chronyStatus, uint16, []byte) {
	if len(q.data) < chronyAddressLen {
		return chronyLength, tellNothing, nil
	}
	for i := range q.Snapshots {
		s := &q.Snapshots[i]
		name, address := s.called()
		if s.Status == nil || !bytes.Equal(q.address(name, address), q.data[:chronyAddressLen]) {
			continue
		}
		if w.ntpData(s, true); w.Len() > q.room {
			w.Reset()
			w.ntpData(s, false)
			return chronyDone, tellData, w.Bytes()
		}
		return chronyDone, tellData2, w.Bytes()
	}
	return chronyNoSource, tellNothing, nil
}

func (q *chronyQuestion) serverStats(w *chronyWriter) (chronyStatus, uint16, []byte) {
	if q.ServerStats == nil {
		return chronyInactive, tellNothing, nil
	}
	for _, form := range []struct {
		kind  uint16
		write func(*ServerStats)
	}{{tellServer4, w.server4}, {tellServer3, func(s *ServerStats) { w.server3(s, 11) }}} {
		w.Reset()
		if form.write(q.ServerStats); w.Len() <= q.room {
			return chronyDone, form.kind, w.Bytes()
		}
	}
	w.Reset()
	w.server3(q.ServerStats, 8)
	return chronyDone, tellServer2, w.Bytes()
}

// chronyAddressLen is the length of an address with its family, octets.
const chronyAddressLen = 20

// chrony's families of addresses.
const (
	chronyIPv4 = 1
	chronyIPv6 = 2
	chronyID   = 3 // the number of a source that has no address yet
)

// chronyIP returns an address.
func chronyIP(a netip.Addr) []byte {
	var w chronyWriter
	if a = a.Unmap(); a.Is6() {
		w.put(a.As16(), uint16(chronyIPv6), uint16(0))
	} else {
		w.put(a.As4(), [12]byte{}, uint16(chronyIPv4), uint16(0))
	}
	return w.Bytes()
}

// address returns that of a source; a reference clock's letters stand for one,
// and a source that has none yet has a number, as in chronyd.
func (q *chronyQuestion) address(name, address string) []byte {
	if a, err := netip.ParseAddr(address); err == nil {
		return chronyIP(a)
	}
	var w chronyWriter
	if q.clock(name) {
		w.put(letters(name), [12]byte{}, uint16(chronyIPv4), uint16(0))
	} else {
		w.put(1+uint32(slices.IndexFunc(q.Sources, func(s Source) bool { return s.Name == name })), [12]byte{}, uint16(chronyID), uint16(0))
	}
	return w.Bytes()
}

// clock reports whether a name is that of a reference clock.
func (q *chronyQuestion) clock(name string) bool {
	return slices.ContainsFunc(q.Sources, func(s Source) bool { return s.Mode == ModeReferenceClock && s.Name == name })
}

func letters(name string) (b [4]byte) {
	copy(b[:], name)
	return b
}
