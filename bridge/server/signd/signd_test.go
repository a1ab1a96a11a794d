package signd

import (
	"bytes"
	"crypto/md5"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf16"

	//lint:ignore SA1019 Active Directory signs with it
	"golang.org/x/crypto/md4" //nolint:staticcheck // what Active Directory has
)

// recorded returns what samba said: see testdata/README.md.
func recorded(t testing.TB) map[string][]byte {
	t.Helper()
	text, err := os.ReadFile("testdata/samba-4.17.12.txt")
	if err != nil {
		t.Fatal(err)
	}
	list := map[string][]byte{}
	for line := range strings.Lines(string(text)) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), " "); ok && name != "#" {
			if list[name], err = hex.DecodeString(value); err != nil {
				t.Fatal(err)
			}
		}
	}
	return list
}

// checksum is what a member of the domain expects (MS-SNTP, section 3.1.5.1):
// the MD5 of its password's NT hash and the packet.
func checksum(password string, packet []byte) []byte {
	h := md4.New()
	for _, c := range utf16.Encode([]rune(password)) {
		h.Write([]byte{byte(c), byte(c >> 8)})
	}
	sum := md5.Sum(append(h.Sum(nil), packet...))
	return sum[:]
}

func TestRecordedReplies(t *testing.T) {
	all := recorded(t)
	packet := all["packet"]
	for name, account := range map[string]uint32{"signed": 1102, "former-secret": 1102 | 1<<31} {
		n, err := ReplyLen([4]byte(all[name]))
		if err != nil || n != len(all[name])-4 {
			t.Errorf("%s: length %d, %v", name, n, err)
		}
		got, err := ParseReply(all[name][4:], packet)
		want := append(binary.LittleEndian.AppendUint32(nil, account), checksum("Mach1ne-Pass", packet)...)
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: %x, %v; want %x", name, got, err, want)
		}
	}
	if _, err := ParseReply(all["unknown-account"][4:], packet); !errors.Is(err, ErrRefused) {
		t.Errorf("unknown account: %v", err)
	}
	other := bytes.Clone(packet)
	other[47]++
	if _, err := ParseReply(all["signed"][4:], other); err == nil || errors.Is(err, ErrRefused) {
		t.Errorf("the reply to another packet: %v", err)
	}
}

func FuzzParseReply(f *testing.F) {
	all := recorded(f)
	for name, b := range all {
		if name != "packet" {
			f.Add(b[4:], all["packet"])
		}
	}
	f.Add([]byte{}, all["packet"])
	f.Fuzz(func(t *testing.T, reply, packet []byte) {
		signature, err := ParseReply(reply, packet)
		if (err == nil) != (len(signature) == SignatureLen) {
			t.Errorf("%d octets and %v", len(signature), err)
		}
	})
}

func FuzzReplyLen(f *testing.F) {
	f.Add([]byte{0, 0, 0, 80})
	f.Add([]byte{255, 255, 255, 255})
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) < 4 {
			return
		}
		if n, err := ReplyLen([4]byte(b)); err == nil && (n < replyLen || n > maxReply) {
			t.Errorf("%d octets", n)
		}
	})
}

// standIn plays samba: each connection is handled by act.
func standIn(t *testing.T, act func(net.Conn)) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "socket")
	l, err := net.Listen("unix", name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				act(c)
			}()
		}
	}()
	return name
}

// request reads one request; nil: the connection ended.
func request(c net.Conn) []byte {
	b := make([]byte, 4+askLen+48)
	if _, err := io.ReadFull(c, b); err != nil {
		return nil
	}
	return b
}

func TestClient(t *testing.T) {
	all := recorded(t)
	packet, id := all["packet"], [4]byte{0x4e, 4}
	good := func(c net.Conn) {
		for b := request(c); b != nil; b = request(c) {
			if !bytes.Equal(b, AppendRequest(nil, id, packet)) {
				t.Errorf("asked %x", b)
			}
			c.Write(all["signed"])
		}
	}
	for name, test := range map[string]struct {
		act  func(net.Conn)
		want error
	}{
		"one connection": {good, nil},
		"a connection each": {func(c net.Conn) {
			if request(c) != nil {
				c.Write(all["signed"])
			}
		}, nil},
		"in pieces": {func(c net.Conn) {
			for request(c) != nil {
				for _, b := range all["signed"] {
					c.Write([]byte{b})
				}
			}
		}, nil},
		"refused":       {func(c net.Conn) { request(c); c.Write(all["unknown-account"]) }, ErrRefused},
		"closed":        {func(c net.Conn) { request(c) }, ErrRefused},
		"silent":        {func(c net.Conn) { request(c); io.ReadAll(c) }, ErrUnavailable},
		"endless":       {func(c net.Conn) { request(c); c.Write([]byte{255, 255, 255, 255}) }, ErrUnavailable},
		"cut off":       {func(c net.Conn) { request(c); c.Write(all["signed"][:60]) }, ErrUnavailable},
		"another one's": {func(c net.Conn) { request(c); c.Write(append(all["signed"][:20:20], make([]byte, 64)...)) }, ErrUnavailable},
	} {
		t.Run(name, func(t *testing.T) {
			c := &Client{Socket: standIn(t, test.act), Timeout: 200 * time.Millisecond}
			if test.want == nil {
				c.Timeout = 10 * time.Second
			}
			defer c.Close()
			for range 3 {
				signature, err := c.Sign(id, packet)
				if !errors.Is(err, test.want) || err == nil && !bytes.Equal(signature, all["signed"][4+replyLen+48:]) {
					t.Fatalf("%x, %v; want %v", signature, err, test.want)
				}
			}
		})
	}
	c := &Client{Socket: filepath.Join(t.TempDir(), "nobody"), Timeout: time.Second}
	if _, err := c.Sign(id, packet); !errors.Is(err, ErrUnavailable) {
		t.Errorf("nobody listens: %v", err)
	}
}
