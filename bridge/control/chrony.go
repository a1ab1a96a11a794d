package control

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
)

// This is chrony's command protocol, version 6, as chronyd 4.3, 4.6 and 4.9
// answer it (candm.h, pktlength.c and cmdmon.c, which are facts here, not text). What
// each command wants of a request, who may ask it, and in which order it is
// found wrong, was asked of the real daemons with every number and length. 4.9
// has a longer request to add a source (75); what it took away (0, 10, 64)
// stays here for older chronyc.
//
// A reply is never longer than its request: chronyc fills requests up to the
// length of the reply that it knows. So the length of a request tells which of
// two forms of a reply its version understands.

// The numbers of the commands.
const (
	askNothing, askOnline, askOffline, askBurst, askMinPoll, askMaxPoll, askDump    = 0, 1, 2, 3, 4, 5, 6
	askMaxDelay, askMaxDelayRatio, askMaxUpdateSkew, askLogon, askSetTime           = 7, 8, 9, 10, 11
	askManual, askSources, askSource, askRekey, askAllow, askAllowAll, askDeny      = 13, 14, 15, 16, 17, 18, 19
	askDenyAll, askCmdAllow, askCmdAllowAll, askCmdDeny, askCmdDenyAll, askAccess   = 20, 21, 22, 23, 24, 25
	askCmdAccess, askDelete, askWriteRTC, askShiftRate, askTracking, askStats       = 26, 29, 30, 31, 33, 34
	askRTC, askTrimRTC, askCycleLogs, askManualList, askManualDelete, askMakeStep   = 35, 36, 37, 41, 42, 43
	askActivity, askMinStratum, askPollTarget, askMaxDelayDevRatio, askReselect     = 44, 45, 46, 47, 48
	askReselectDistance, askMakeStepAt, askSmoothing, askSmoothTime, askRefresh     = 49, 50, 51, 52, 53
	askServer, askLocal2, askData, askShutdown, askOnOffline, askAdd, askName       = 54, 56, 57, 62, 63, 64, 65
	askReset, askAuth, askClients, askSelect, askReload, askShift, askSelectOptions = 66, 67, 68, 69, 70, 71, 72
	askOffset, askLocal3, askAdd5                                                   = 73, 74, 75
)

// The numbers of the replies.
const (
	tellNothing, tellSources, tellSource, tellTracking, tellStats, tellActivity = 1, 2, 3, 5, 6, 12
	tellSmoothing, tellData, tellSetTime, tellManual, tellName, tellAuth        = 13, 16, 17, 18, 19, 20
	tellClients, tellServer2, tellSelect, tellServer3, tellServer4, tellData2   = 21, 22, 23, 24, 25, 26
)

// chronyStatus is what came of a request.
type chronyStatus uint16

const (
	chronyDone      chronyStatus = 0
	chronyFailed    chronyStatus = 1
	chronyUnauth    chronyStatus = 2
	chronyInvalid   chronyStatus = 3
	chronyNoSource  chronyStatus = 4
	chronyOff       chronyStatus = 6 // not enabled
	chronyBadSubnet chronyStatus = 7
	chronyAllowed   chronyStatus = 8
	chronyDenied    chronyStatus = 9
	chronyKnown     chronyStatus = 11
	chronyNoRTC     chronyStatus = 13
	chronyInactive  chronyStatus = 15
	chronyBadSample chronyStatus = 16
	chronyVersion   chronyStatus = 18
	chronyLength    chronyStatus = 19
	chronyBadName   chronyStatus = 21
)

// The packets (candm.h: CMD_Request, CMD_Reply).
const (
	chronyProtocol      = 6
	chronyRequest       = 1
	chronyReply         = 2
	chronyRequestLen    = 20  // octets of a request's head
	chronyReplyLen      = 28  // octets of a reply's head
	chronyMaxRequest    = 860 // octets; longer ones are ignored
	chronyOldestVersion = 5   // that is told of a version which it does not have
)

// chronyCommand is what a command wants.
type chronyCommand struct {
	length int  // of a request, octets, at least
	open   bool // to those who ask over the network too
	answer func(*chronyQuestion, *chronyWriter) (chronyStatus, uint16)
}

// chronyCommands are all that there are; others are invalid. The lengths are
// the real daemons'; where a reply has an older, shorter form, the length of
// that one.
func chronyCommands() map[uint16]chronyCommand {
	none := func(status chronyStatus) func(*chronyQuestion, *chronyWriter) (chronyStatus, uint16) {
		return func(*chronyQuestion, *chronyWriter) (chronyStatus, uint16) { return status, tellNothing }
	}
	return map[uint16]chronyCommand{
		askNothing:  {28, true, none(chronyDone)},
		askLogon:    {32, true, none(chronyFailed)},
		askSources:  {32, true, (*chronyQuestion).sources},
		askSource:   {76, true, (*chronyQuestion).source},
		askTracking: {104, true, (*chronyQuestion).tracking},
		askStats:    {84, true, (*chronyQuestion).stats},
		askRTC:      {56, true, none(chronyNoRTC)},
		askManualList: {416, true, func(_ *chronyQuestion, w *chronyWriter) (chronyStatus, uint16) {
			w.put([388]byte{})
			return chronyDone, tellManual
		}},
		askActivity:  {48, true, (*chronyQuestion).activity},
		askSmoothing: {52, true, (*chronyQuestion).smoothing},
		askName:      {284, true, (*chronyQuestion).name},

		askSelect:    {76, false, (*chronyQuestion).selects},
		askAuth:      {52, false, (*chronyQuestion).auth},
		askData:      {152, false, (*chronyQuestion).ntpData},
		askServer:    {72, false, (*chronyQuestion).serverStats},
		askClients:   {520, false, (*chronyQuestion).clients},
		askAccess:    {40, false, (*chronyQuestion).access},
		askCmdAccess: {40, false, (*chronyQuestion).access},

		askOnline:           {60, false, (*chronyQuestion).each},
		askOffline:          {60, false, (*chronyQuestion).each},
		askBurst:            {68, false, (*chronyQuestion).each},
		askMinPoll:          {44, false, (*chronyQuestion).modify},
		askMaxPoll:          {44, false, (*chronyQuestion).modify},
		askMaxDelay:         {44, false, (*chronyQuestion).modify},
		askMaxDelayRatio:    {44, false, (*chronyQuestion).modify},
		askMaxDelayDevRatio: {44, false, (*chronyQuestion).modify},
		askMinStratum:       {44, false, (*chronyQuestion).modify},
		askOffset:           {48, false, (*chronyQuestion).modify},
		askSelectOptions:    {52, false, (*chronyQuestion).selectOptions},
		askAllow:            {44, false, (*chronyQuestion).allow},
		askAllowAll:         {44, false, (*chronyQuestion).allow},
		askDeny:             {44, false, (*chronyQuestion).allow},
		askDenyAll:          {44, false, (*chronyQuestion).allow},
		askAdd:              {372, false, (*chronyQuestion).add},
		askAdd5:             {408, false, (*chronyQuestion).add},
		askDelete:           {40, false, (*chronyQuestion).remove},
		askSetTime:          {40, false, (*chronyQuestion).setTime},
		askMakeStep:         {28, false, tells(CommandMakeStep)},
		askRekey:            {28, false, tells(CommandRekey)},
		askRefresh:          {28, false, tells(CommandRefresh)},
		askReset:            {28, false, tells(CommandReset)},
		askReload:           {28, false, tells(CommandReload)},
		askShutdown:         {28, false, tells(CommandShutdown)},
		askOnOffline:        {28, false, tells(CommandOnOffline)},

		// What is kept of measurements and logs is always up to date.
		askDump:      {28, false, none(chronyDone)},
		askCycleLogs: {28, false, none(chronyDone)},
		// What this daemon has not.
		askManual: {28, false, none(chronyOff)}, askManualDelete: {28, false, none(chronyBadSample)},
		askWriteRTC: {28, false, none(chronyNoRTC)}, askTrimRTC: {28, false, none(chronyNoRTC)},
		askMaxUpdateSkew: {28, false, none(chronyOff)}, askShiftRate: {28, false, none(chronyOff)}, askShift: {28, false, none(chronyOff)},
		askPollTarget: {44, false, none(chronyOff)}, askReselect: {28, false, none(chronyOff)},
		askReselectDistance: {28, false, none(chronyOff)}, askMakeStepAt: {28, false, none(chronyOff)},
		askSmoothTime: {28, false, none(chronyOff)}, askLocal2: {36, false, none(chronyOff)}, askLocal3: {48, false, none(chronyOff)},
		askCmdAllow: {44, false, none(chronyOff)}, askCmdAllowAll: {44, false, none(chronyOff)},
		askCmdDeny: {44, false, none(chronyOff)}, askCmdDenyAll: {44, false, none(chronyOff)},
	}
}

var chronyTable = sync.OnceValue(chronyCommands)

// ChronyReports are what chronyc can ask, as of a moment.
type ChronyReports struct {
	Tracking    *Tracking
	Sources     []Source
	SourceStats []SourceStats
	AuthData    []AuthData
	SelectData  []SelectData
	Snapshots   []SourceSnapshot // for ntpdata and activity
	ServerStats *ServerStats
	Smoothing   *Smoothing // nil: the served time is not smoothed
}

// Chrony makes the reports of a snapshot.
func (s *Snapshot) Chrony(stats *ServerStats) *ChronyReports {
	return &ChronyReports{Tracking: s.Tracking(), Sources: s.SourceList(), SourceStats: s.SourceStatsList(), AuthData: s.AuthDataList(),
		SelectData: s.SelectDataList(), Snapshots: s.Sources, ServerStats: stats, Smoothing: s.Smooth}
}

// Chrony is the daemon as chronyc meets it. All functions are called by several
// goroutines at once.
type Chrony struct {
	Reports func() *ChronyReports
	// Do does what a user with permission tells.
	Do func(*Command) error
	// Serves reports whether an address gets the time.
	Serves func(netip.Addr) bool
	// MayAsk reports whether an address may ask over the network.
	MayAsk func(netip.Addr) bool
	// Clients are those of the server; nil, or nil returned: nothing is kept of
	// them.
	Clients func() []ChronyClient

	Received, Dropped atomic.Uint64 // packets
	listed            chronyClients
}

// Respond answers a request, of any octets, and returns the reply: nil for what
// chronyd ignores. local says that it came over the socket, whose users have
// permission for everything.
func (c *Chrony) Respond(request []byte, local bool) []byte {
	return c.respond(request, local, "unknown")
}

// respond does it for somebody, as the log is to name him.
func (c *Chrony) respond(request []byte, local bool, by string) []byte {
	if len(request) < chronyReplyLen || len(request) > chronyMaxRequest ||
		request[1] != chronyRequest || request[2] != 0 || request[3] != 0 {
		c.Dropped.Add(1)
		return nil
	}
	number := binary.BigEndian.Uint16(request[4:])
	reply := func(status chronyStatus, kind uint16, body []byte) []byte {
		var w chronyWriter
		w.put(uint8(chronyProtocol), uint8(chronyReply), uint16(0), number, kind, uint16(status), [3]uint16{}, request[8:12], [2]uint32{})
		return append(w.Bytes(), body...)
	}
	command, known := chronyTable()[number]
	switch {
	case request[0] != chronyProtocol && request[0] < chronyOldestVersion:
		c.Dropped.Add(1)
		return nil
	case request[0] != chronyProtocol:
		return reply(chronyVersion, tellNothing, nil)
	case !known:
		return reply(chronyInvalid, tellNothing, nil)
	case len(request) < command.length:
		return reply(chronyLength, tellNothing, nil)
	case !command.open && !local:
		return reply(chronyUnauth, tellNothing, nil)
	}
	q := chronyQuestion{Chrony: c, number: number, by: by, data: request[chronyRequestLen:], room: len(request) - chronyReplyLen}
	w := new(chronyWriter)
	status, kind := command.answer(&q, w)
	if w.Len() > q.room {
		return reply(chronyLength, tellNothing, nil)
	}
	if status != chronyDone {
		return reply(status, tellNothing, nil)
	}
	return reply(status, kind, w.Bytes())
}

// chronyQuestion is a request that can be answered: it is as long as its
// command wants.
type chronyQuestion struct {
	*Chrony
	*ChronyReports // see load
	number         uint16
	by             string // who asks
	data           []byte // behind the head
	room           int    // octets that the reply may have behind its head
}

// load has the reports made.
func (q *chronyQuestion) load() {
	if q.ChronyReports == nil {
		q.ChronyReports = q.Reports()
	}
}

func (q *chronyQuestion) sources(w *chronyWriter) (chronyStatus, uint16) {
	q.load()
	w.put(uint32(len(q.Sources)))
	return chronyDone, tellSources
}

func (q *chronyQuestion) source(w *chronyWriter) (chronyStatus, uint16) {
	q.load()
	return byIndex(q, q.Sources, w.source), tellSource
}

func (q *chronyQuestion) stats(w *chronyWriter) (chronyStatus, uint16) {
	q.load()
	return byIndex(q, q.SourceStats, w.stats), tellStats
}

func (q *chronyQuestion) selects(w *chronyWriter) (chronyStatus, uint16) {
	q.load()
	return byIndex(q, q.SelectData, w.selects), tellSelect
}

func (q *chronyQuestion) tracking(w *chronyWriter) (chronyStatus, uint16) {
	q.load()
	w.tracking(q.Tracking)
	return chronyDone, tellTracking
}

func (q *chronyQuestion) activity(w *chronyWriter) (chronyStatus, uint16) {
	q.load()
	w.activity(q.Snapshots)
	return chronyDone, tellActivity
}

func (q *chronyQuestion) auth(w *chronyWriter) (chronyStatus, uint16) {
	q.load()
	called := func(a *AuthData) (string, string) { return a.Name, a.Address }
	return byAddress(q, q.AuthData, called, w.auth), tellAuth
}

func (q *chronyQuestion) smoothing(w *chronyWriter) (chronyStatus, uint16) {
	q.load()
	s := q.Smoothing
	if s == nil {
		return chronyOff, tellNothing
	}
	w.put(uint32(1)) // active
	w.floats(s.Offset, s.Frequency, s.Wander, s.Age, s.Remaining)
	return chronyDone, tellSmoothing
}

// byIndex writes the report on the source whose number is asked for.
func byIndex[T any](q *chronyQuestion, list []T, write func(*chronyQuestion, *T)) chronyStatus {
	index := binary.BigEndian.Uint32(q.data)
	if uint64(index) >= uint64(len(list)) {
		return chronyNoSource
	}
	write(q, &list[index])
	return chronyDone
}

// byAddress writes the report on the source whose address is asked for.
func byAddress[T any](q *chronyQuestion, list []T, called func(*T) (name, address string), write func(*chronyQuestion, *T)) chronyStatus {
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
func (q *chronyQuestion) name(w *chronyWriter) (chronyStatus, uint16) {
	q.load()
	return byAddress(q, q.Sources, func(s *Source) (string, string) { return s.Name, s.Address }, func(_ *chronyQuestion, s *Source) {
		var name [256]byte
		copy(name[:255], s.Name)
		w.put(name)
	}), tellName
}

func (q *chronyQuestion) ntpData(w *chronyWriter) (chronyStatus, uint16) {
	q.load()
	for i := range q.Snapshots {
		s := &q.Snapshots[i]
		name, address := s.called()
		if s.Status == nil || !bytes.Equal(q.address(name, address), q.data[:chronyAddressLen]) {
			continue
		}
		if w.ntpData(s, true); w.Len() > q.room {
			w.Reset()
			w.ntpData(s, false)
			return chronyDone, tellData
		}
		return chronyDone, tellData2
	}
	return chronyNoSource, tellNothing
}

func (q *chronyQuestion) serverStats(w *chronyWriter) (chronyStatus, uint16) {
	q.load()
	if q.ServerStats == nil {
		return chronyInactive, tellNothing
	}
	q.ServerStats.CommandReceived, q.ServerStats.CommandDropped = q.Received.Load(), q.Dropped.Load()
	for _, form := range []struct {
		kind  uint16
		write func(*ServerStats)
	}{{tellServer4, w.server4}, {tellServer3, func(s *ServerStats) { w.server3(s, 11) }}} {
		w.Reset()
		if form.write(q.ServerStats); w.Len() <= q.room {
			return chronyDone, form.kind
		}
	}
	w.Reset()
	w.server3(q.ServerStats, 8)
	return chronyDone, tellServer2
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
