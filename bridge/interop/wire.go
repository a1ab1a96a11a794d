package interop

import (
	"encoding/binary"
	"net/netip"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// ntpPort is the port of NTP.
const ntpPort = 123

// Packet is a UDP datagram as it passed a host's interface.
type Packet struct {
	At       time.Time // by the kernel's stamp
	From, To netip.AddrPort
	Payload  []byte
	frame    []byte // with the Ethernet header
}

// Wire records what passes a host's interface from and to port 123, and can
// send a frame once more.
type Wire struct {
	file *os.File

	mu      sync.Mutex
	packets []Packet
}

// Record starts a recording that ends with the test.
func (h *Host) Record() *Wire {
	h.t.Helper()
	w := &Wire{}
	err := h.Do(func() error {
		const everything = unix.ETH_P_ALL<<8&0xff00 | unix.ETH_P_ALL>>8 // in network order
		fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, everything)
		if err != nil {
			return err
		}
		w.file = os.NewFile(uintptr(fd), "packets of "+h.Name)
		if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1); err != nil {
			return err
		}
		index, err := interfaceIndex(fd, "eth0")
		if err != nil {
			return err
		}
		return unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: everything, Ifindex: index})
	})
	if err != nil {
		h.t.Fatalf("record on %s: %v", h.Name, err)
	}
	h.t.Cleanup(func() { w.file.Close() })
	go w.read()
	return w
}

func interfaceIndex(fd int, name string) (int, error) {
	request, err := unix.NewIfreq(name)
	if err != nil {
		return 0, err
	}
	if err := unix.IoctlIfreq(fd, unix.SIOCGIFINDEX, request); err != nil {
		return 0, err
	}
	return int(request.Uint32()), nil
}

func (w *Wire) read() {
	connection, err := w.file.SyscallConn()
	if err != nil {
		return // closed
	}
	buffer, control := make([]byte, 1<<16), make([]byte, 64)
	for {
		var n, controlLen int
		var failure error
		err := connection.Read(func(fd uintptr) bool {
			n, controlLen, _, _, failure = unix.Recvmsg(int(fd), buffer, control, 0)
			return failure != unix.EAGAIN
		})
		if err != nil || failure != nil {
			return // closed
		}
		if p, ok := dissect(append([]byte(nil), buffer[:n]...)); ok {
			p.At = passed(control[:controlLen])
			w.mu.Lock()
			w.packets = append(w.packets, p)
			w.mu.Unlock()
		}
	}
}

// passed returns when the kernel saw a packet, whenever it is read; by the same
// clock as time.Now.
func passed(control []byte) time.Time {
	messages, err := unix.ParseSocketControlMessage(control)
	if err != nil || len(messages) != 1 || len(messages[0].Data) < 16 {
		return time.Now()
	}
	body := messages[0].Data
	return time.Unix(int64(binary.NativeEndian.Uint64(body)), int64(binary.NativeEndian.Uint64(body[8:])))
}

const ethernetLen = 14

// dissect reads an Ethernet frame with an unfragmented UDP datagram.
func dissect(frame []byte) (Packet, bool) {
	if len(frame) < ethernetLen+28 {
		return Packet{}, false
	}
	p := Packet{frame: frame}
	ip := frame[ethernetLen:]
	var udp []byte
	var from, to netip.Addr
	switch binary.BigEndian.Uint16(frame[12:]) {
	case unix.ETH_P_IP:
		if header := int(ip[0]&15) * 4; ip[9] == unix.IPPROTO_UDP && len(ip) >= header+8 {
			udp = ip[header:]
		}
		from, to = netip.AddrFrom4([4]byte(ip[12:16])), netip.AddrFrom4([4]byte(ip[16:20]))
	case unix.ETH_P_IPV6:
		if len(ip) >= 48 && ip[6] == unix.IPPROTO_UDP {
			udp = ip[40:]
			from, to = netip.AddrFrom16([16]byte(ip[8:24])), netip.AddrFrom16([16]byte(ip[24:40]))
		}
	}
	if udp == nil {
		return Packet{}, false
	}
	length := int(binary.BigEndian.Uint16(udp[4:]))
	if length < 8 || length > len(udp) {
		return Packet{}, false
	}
	p.From = netip.AddrPortFrom(from, binary.BigEndian.Uint16(udp))
	p.To = netip.AddrPortFrom(to, binary.BigEndian.Uint16(udp[2:]))
	p.Payload = udp[8:length]
	return p, p.From.Port() == ntpPort || p.To.Port() == ntpPort
}

// Packets returns what passed so far and satisfies want.
func (w *Wire) Packets(want func(Packet) bool) []Packet {
	w.mu.Lock()
	defer w.mu.Unlock()
	var found []Packet
	for _, p := range w.packets {
		if want(p) {
			found = append(found, p)
		}
	}
	return found
}

// Replay sends a recorded IPv4 packet once more.
func (w *Wire) Replay(p Packet) error {
	frame := append([]byte(nil), p.frame...)
	header := int(frame[ethernetLen]&15) * 4
	// A recorded outgoing datagram has no complete checksum yet; zero is none.
	binary.BigEndian.PutUint16(frame[ethernetLen+header+6:], 0)
	_, err := w.file.Write(frame)
	return err
}
