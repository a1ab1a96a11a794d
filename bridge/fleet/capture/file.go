package capture

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"
)

// ErrFormat says that something is no capture, or a damaged one.
var ErrFormat = errors.New("not a pcap or pcapng capture")

// maxFrame bounds a frame, octets: a snap length above it is refused, so that a
// damaged file cannot ask for any amount of memory.
const maxFrame = 1 << 18

// frame is one captured frame; data is good until the next one.
type frame struct {
	at   time.Time
	link layers.LinkType
	data []byte
}

// frames reads a capture, also one packed by gzip, frame by frame.
type frames struct {
	next func() (frame, error)
}

func openFrames(r io.Reader) (*frames, error) {
	b := bufio.NewReaderSize(r, 1<<16)
	if magic, err := b.Peek(2); err == nil && magic[0] == 0x1f && magic[1] == 0x8b {
		z, err := gzip.NewReader(b)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrFormat, err)
		}
		b = bufio.NewReaderSize(z, 1<<16)
	}
	magic, err := b.Peek(4)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFormat, err)
	}
	if bytes.Equal(magic, []byte{0x0a, 0x0d, 0x0d, 0x0a}) {
		return openNg(b)
	}
	p, err := pcapgo.NewReader(b)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFormat, err)
	}
	if p.Snaplen() > maxFrame {
		p.SetSnaplen(maxFrame)
	}
	return &frames{func() (frame, error) {
		data, info, err := p.ZeroCopyReadPacketData()
		return frame{info.Timestamp, p.LinkType(), data}, err
	}}, nil
}

func openNg(r io.Reader) (*frames, error) {
	n, err := pcapgo.NewNgReader(r, pcapgo.NgReaderOptions{WantMixedLinkType: true, SkipUnknownVersion: true})
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFormat, err)
	}
	return &frames{func() (frame, error) {
		data, info, err := n.ReadPacketData()
		link := n.LinkType()
		if i, errInterface := n.Interface(info.InterfaceIndex); errInterface == nil {
			link = i.LinkType
		}
		return frame{info.Timestamp, link, data}, err
	}}, nil
}

// decode returns the packet in a frame, with whatever of VLAN tags, tunnels of
// the link and extension headers lies before it. Nothing is copied.
func (f *frame) decode() gopacket.Packet {
	return gopacket.NewPacket(f.data, f.link, gopacket.DecodeOptions{Lazy: true, NoCopy: true})
}
