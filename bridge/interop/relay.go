package interop

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"
	"time"

	"ntsbridge/bridge/ntp"
)

// Mischief is what a Relay does to what passes. The zero value does none.
type Mischief struct {
	Silent  bool    // nothing passes
	Drop    float64 // part of the packets that is lost, each way
	MaxSize int     // octets: longer packets are lost; 0: none

	Up, Down time.Duration // delay of requests and of answers
	Late     time.Duration // answers are held for so long, and sent to the socket that asked last
	Reorder  bool          // each second answer is held until the next has passed
	Repeat   int           // so many further copies of each answer
	Replay   int           // before each answer so many old ones

	Lie     time.Duration // added to the server's timestamps
	Ramp    float64       // the same, s for each second since the mischief began
	Leap    ntp.Leap      // of answers, if not LeapNone
	BadMAC  bool          // the last octet of answers is another
	Kiss    string        // answer with this code instead of asking the server
	Blindly bool          // that answer does not know the request
	Foreign bool          // answers come from another port than was asked
}

// Relay stands between clients and an NTP server.
type Relay struct {
	host   *Host // whose sockets it has
	conn   *net.UDPConn
	other  *net.UDPConn // of Foreign
	server netip.AddrPort

	mu     sync.Mutex
	does   Mischief
	since  time.Time
	client netip.AddrPort // that asked last
	old    [][]byte       // last answers of the server as they were sent
	held   [][]byte
	stats  RelayStats
}

// RelayStats is what a Relay has done.
type RelayStats struct {
	Requests int // that came
	Answers  int // of the server, that came
	Extra    int // packets to clients that the server did not send, or not then
}

// Relay relays between port 123 of h, at its IPv4 address, and of a server,
// until the test ends.
func (h *Host) Relay(server netip.Addr) *Relay {
	h.t.Helper()
	r := &Relay{host: h, server: netip.AddrPortFrom(server, ntpPort), since: time.Now()}
	err := h.Do(func() (err error) {
		if r.conn, err = net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.AddrPortFrom(h.IPv4, ntpPort))); err != nil {
			return err
		}
		r.other, err = net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.AddrPortFrom(h.IPv4, 0)))
		return err
	})
	if err != nil {
		h.t.Fatalf("relay on %s: %v", h.Name, err)
	}
	h.t.Cleanup(func() { r.conn.Close(); r.other.Close() })
	go r.read()
	return r
}

// Set begins another mischief.
func (r *Relay) Set(m Mischief) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.does, r.since, r.held = m, time.Now(), nil
}

// Stats returns what was done since the beginning.
func (r *Relay) Stats() RelayStats {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.stats
}

// read takes requests.
func (r *Relay) read() {
	buffer := make([]byte, 2048)
	for {
		n, from, err := r.conn.ReadFromUDPAddrPort(buffer)
		if err != nil {
			return // closed
		}
		request := append([]byte(nil), buffer[:n]...)
		r.mu.Lock()
		r.stats.Requests++
		r.client = from
		m := r.does
		r.mu.Unlock()
		switch {
		case m.lost(request):
		case m.Kiss != "":
			r.reply(kiss(request, &m), from)
		default:
			go r.ask(request, from, m)
		}
	}
}

func (m *Mischief) lost(packet []byte) bool {
	return m.Silent || rand.Float64() < m.Drop || m.MaxSize > 0 && len(packet) > m.MaxSize || len(packet) < ntp.HeaderLen
}

// kiss is a kiss-o'-death for a request.
func kiss(request []byte, m *Mischief) []byte {
	var q ntp.Header
	q.Decode(request)
	h := ntp.Header{Leap: ntp.LeapUnknown, Version: q.Version, Mode: ntp.ModeServer, Poll: q.Poll, Precision: -20,
		ReferenceID: ntp.KissCode(m.Kiss), Origin: q.Transmit, Receive: q.Transmit, Transmit: q.Transmit}
	if m.Blindly {
		h.Origin = ntp.TimestampFromTime(time.Now())
	}
	p := make([]byte, ntp.HeaderLen)
	h.Encode(p)
	return p
}

// ask asks the server for a client and passes its answers on for a while.
func (r *Relay) ask(request []byte, client netip.AddrPort, m Mischief) {
	time.Sleep(m.Up)
	var conn *net.UDPConn
	err := r.host.Do(func() (err error) {
		conn, err = net.DialUDP("udp4", nil, net.UDPAddrFromAddrPort(r.server))
		return err
	})
	if err != nil {
		return // the host is gone
	}
	defer conn.Close()
	if _, err := conn.Write(request); err != nil {
		return
	}
	const patience = 2 * time.Second
	conn.SetReadDeadline(time.Now().Add(patience))
	for {
		buffer := make([]byte, 2048)
		n, err := conn.Read(buffer)
		if err != nil {
			return
		}
		r.answer(buffer[:n], client)
	}
}

// answer does its worst with an answer of the server.
func (r *Relay) answer(p []byte, client netip.AddrPort) {
	r.mu.Lock()
	m, since := r.does, r.since
	r.stats.Answers++
	number := r.stats.Answers
	old := r.old
	r.mu.Unlock()
	if m.lost(p) {
		return
	}
	m.change(p, time.Since(since))
	time.Sleep(m.Down)
	for i := range min(m.Replay, len(old)) {
		r.extra(old[len(old)-1-i], client)
	}
	switch {
	case m.Late > 0:
		time.AfterFunc(m.Late, func() { r.extra(p, netip.AddrPort{}) })
	case m.Reorder && number%2 == 0:
		r.mu.Lock()
		r.held = append(r.held, p)
		r.mu.Unlock()
	case m.Foreign:
		r.mu.Lock()
		r.stats.Extra++
		r.mu.Unlock()
		r.other.WriteToUDPAddrPort(p, client)
	default:
		r.reply(p, client)
	}
	for range m.Repeat {
		r.extra(p, client)
	}
	r.mu.Lock()
	held := r.held
	if number%2 == 1 {
		r.held = nil
	}
	const kept = 8
	r.old = append(old[max(0, len(old)-kept):len(old):len(old)], p)
	r.mu.Unlock()
	if number%2 == 1 {
		for _, h := range held {
			r.extra(h, netip.AddrPort{})
		}
	}
}

// change makes the answer another one.
func (m *Mischief) change(p []byte, age time.Duration) {
	if m.Leap != ntp.LeapNone {
		p[0] = p[0]&0x3f | byte(m.Leap)<<6
	}
	if m.BadMAC {
		p[len(p)-1] ^= 1
	}
	lie := m.Lie + time.Duration(m.Ramp*float64(age))
	if lie == 0 {
		return
	}
	for _, at := range []int{16, 32, 40} { // reference, receive and transmit timestamp
		t := binary.BigEndian.Uint64(p[at:])
		binary.BigEndian.PutUint64(p[at:], t+uint64(int64(math.Round(lie.Seconds()*(1<<32)))))
	}
}

// extra sends a packet that nobody asked for, to whoever asked last if no
// client is given.
func (r *Relay) extra(p []byte, client netip.AddrPort) {
	r.mu.Lock()
	r.stats.Extra++
	if !client.IsValid() {
		client = r.client
	}
	r.mu.Unlock()
	r.reply(p, client)
}

func (r *Relay) reply(p []byte, client netip.AddrPort) {
	// A client that is gone, or the end of the test, loses a packet.
	_, _ = r.conn.WriteToUDPAddrPort(p, client)
}
