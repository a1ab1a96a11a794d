package capture

import (
	"errors"
	"fmt"
	"io"
	"net/netip"
	"time"

	"github.com/gopacket/gopacket/layers"
)

// datagram is one UDP datagram or TCP segment.
type datagram struct {
	at       time.Time
	from, to netip.AddrPort
	tos      uint8
	tcp      *layers.TCP // nil: UDP
	payload  []byte
	cut      bool // the capture has less of it than was sent
}

// Problems counts what a capture had that could not be used.
type Problems struct {
	Frames     uint64 // all that were read
	Cut        uint64 // NTP packets of which the capture has less than 48 octets or not all (tcpdump -s 0 helps)
	Damaged    bool   // the file ends in the middle of something, or is broken there
	Fragments  uint64
	OneSided   bool // requests without a single answer, or the reverse
	FirstFrame time.Time
	LastFrame  time.Time
}

// each calls use for each datagram of a capture.
func each(r io.Reader, p *Problems, use func(*datagram)) error {
	f, err := openFrames(r)
	if err != nil {
		return err
	}
	for {
		fr, err := f.next()
		switch {
		case errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF):
			return nil
		case err != nil && p.Frames == 0:
			return fmt.Errorf("%w: %w", ErrFormat, err)
		case err != nil:
			p.Damaged = true
			return nil
		}
		p.Frames++
		if p.FirstFrame.IsZero() {
			p.FirstFrame = fr.at
		}
		p.LastFrame = fr.at
		var d datagram
		if fr.datagram(&d, p) {
			use(&d)
		}
	}
}

func (f *frame) datagram(d *datagram, p *Problems) bool {
	packet := f.decode()
	*d = datagram{at: f.at}
	var from, to netip.Addr
	switch ip := packet.NetworkLayer().(type) {
	case *layers.IPv4:
		if ip.FragOffset != 0 || ip.Flags&layers.IPv4MoreFragments != 0 {
			p.Fragments++
			return false
		}
		from, _ = netip.AddrFromSlice(ip.SrcIP)
		to, _ = netip.AddrFromSlice(ip.DstIP)
		d.tos = ip.TOS
	case *layers.IPv6:
		from, _ = netip.AddrFromSlice(ip.SrcIP)
		to, _ = netip.AddrFromSlice(ip.DstIP)
		d.tos = ip.TrafficClass
	default:
		return false
	}
	switch t := packet.TransportLayer().(type) {
	case *layers.UDP:
		d.from, d.to = netip.AddrPortFrom(from.Unmap(), uint16(t.SrcPort)), netip.AddrPortFrom(to.Unmap(), uint16(t.DstPort))
		d.payload = t.Payload
		d.cut = int(t.Length) > len(t.Payload)+8
	case *layers.TCP:
		d.from, d.to = netip.AddrPortFrom(from.Unmap(), uint16(t.SrcPort)), netip.AddrPortFrom(to.Unmap(), uint16(t.DstPort))
		d.payload, d.tcp = t.Payload, t
	default:
		return false
	}
	return from.IsValid() && to.IsValid()
}
