package capture

import (
	"net/netip"
	"os"
	"path/filepath"
	"testing"
)

// FuzzRead reads any octets as a capture, with the server told and with the server
// to be found: an error or a report, and never more packets than there can be.
func FuzzRead(f *testing.F) {
	for _, name := range []string{"ntpd-md5.pcap", "ntpd-aktc.pcap", "chrony46-nts.pcap", "chrony46-nts-ke.pcap", "oneshot-ntpdig.pcap",
		"ntpd-iburst-down.pcap"} {
		b, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
		f.Add(b[:len(b)/2])
	}
	f.Add([]byte("\x0a\x0d\x0d\x0a\x1c\x00\x00\x00\x4d\x3c\x2b\x1a\x01\x00\x00\x00\xff\xff\xff\xff\xff\xff\xff\xff\x1c\x00\x00\x00")) // pcapng
	f.Add([]byte("\x1f\x8b\x08\x00\x00\x00\x00\x00"))                                                                                 // gzip
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > 1<<18 {
			return
		}
		for _, o := range []Options{{}, {Servers: []netip.Addr{netip.MustParseAddr("10.0.0.1")}}} {
			v := newInventory(t)
			rep, err := Read(opener(b), o, v)
			if err != nil {
				continue
			}
			// A frame has 16 octets at least, and a packet 48; packed ones may be more.
			if len(b) > 2 && b[0] != 0x1f && rep.Requests > uint64(len(b)/48) || rep.Answered > rep.Requests {
				t.Fatalf("%+v of %d octets", rep, len(b))
			}
		}
	})
}
