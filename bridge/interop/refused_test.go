package interop

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"ntsbridge/bridge/ntp"
)

// Clients that the server, or that refuse the server. Their condition holds
// when they tried several times and show the reason; it fails for good when
// they take time.

// errTaken is a refused client that has a server all the same.
var errTaken = permanent{errors.New("a client that must be refused takes time from the server")}

// refusedKeyClient is a classic ntpd whose key has another secret.
func refusedKeyClient(h *Host) *Client {
	c := ntpdKeyClient(h, serverName, 2, wrongNTPKeys)
	c.Good = func() error {
		a, err := QueryNTPD(h)
		if err != nil {
			return err
		}
		if a.Reach != 0 {
			return errTaken
		}
		if a.Auth != "bad" || a.Stats["packets sent"] < 3 {
			return fmt.Errorf("auth %s, want bad after 3 packets; %v", a.Auth, a.Stats)
		}
		return nil
	}
	return c
}

// refusedGroupClient is a classic ntpd whose IFF group key is another one: it
// must not believe the server's answer to its challenge.
func refusedGroupClient(h *Host, group string) *Client {
	c := ntpdAutokeyClient(h, serverName, serverName, group)
	c.Good = func() error {
		a, err := QueryNTPD(h)
		if err != nil {
			return err
		}
		if a.Reach != 0 || a.Flags&(FlagVRFY|FlagPROV|FlagCOOK) != 0 {
			return errTaken
		}
		// The certificate was good, the challenge is repeated in vain.
		if a.Flags&(FlagCERT|FlagIFF) != FlagCERT|FlagIFF || a.Stats["packets sent"] < 5 {
			return fmt.Errorf("flags %#x, want CERT and IFF after 5 packets; %v", a.Flags, a.Stats)
		}
		return nil
	}
	return c
}

// refusedCertificateClient is a chronyd that asks for the name whose
// certificate has expired.
func refusedCertificateClient(h *Host, ca string) *Client {
	c := chronyNTSClient(h, Chronyd46, expiredName, ca, 0, 0)
	c.Good = func() error {
		s, err := QueryChronyd(h, Chronyd46)
		if err != nil {
			return err
		}
		if s.Reach != 0 || s.Cookie != 0 {
			return errTaken
		}
		if !strings.Contains(c.Log(), "expired") {
			return errors.New("no complaint about an expired certificate in chronyd's log")
		}
		return nil
	}
	return c
}

// ask sends a packet from a host to port 123 of a server and returns the first
// answer.
func ask(from *Host, to netip.Addr, packet []byte) ([]byte, error) {
	var answer []byte
	err := from.Do(func() error {
		conn, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(netip.AddrPortFrom(to, ntpPort)))
		if err != nil {
			return err
		}
		defer conn.Close()
		if _, err := conn.Write(packet); err != nil {
			return err
		}
		conn.SetReadDeadline(time.Now().Add(2 * time.Second))
		buffer := make([]byte, 2048)
		n, err := conn.Read(buffer)
		answer = buffer[:n]
		return err
	})
	return answer, err
}

// request returns the header of a client's request with an unpredictable
// transmit timestamp.
func request() []byte {
	p := make([]byte, ntp.HeaderLen, 1024)
	p[0] = 4<<3 | byte(ntp.ModeClient)
	rand.Read(p[40:48])
	return p
}

// checkHeader wants an answer to the request that carries no time if kiss is
// given: stratum 0 and that code.
func checkHeader(request, answer []byte, kiss string) error {
	var h ntp.Header
	if len(answer) < ntp.HeaderLen {
		return fmt.Errorf("answer of %d octets", len(answer))
	}
	h.Decode(answer)
	if h.Mode != ntp.ModeServer || h.Origin != ntp.Timestamp(binary.BigEndian.Uint64(request[40:])) {
		return fmt.Errorf("not an answer to the request: %+v", h)
	}
	if kiss != "" && (h.Stratum != 0 || h.ReferenceID != ntp.KissCode(kiss)) {
		return fmt.Errorf("stratum %d and reference identifier %#x, want the kiss code %s", h.Stratum, h.ReferenceID, kiss)
	}
	return nil
}

// forgedNTSCookie sends an NTS request under a cookie that the server did not
// make: it must answer NTS NAK, with the unique identifier and nothing sealed.
func forgedNTSCookie(from, server *Host) error {
	identifier, cookie := make([]byte, 32), make([]byte, 100)
	rand.Read(identifier)
	rand.Read(cookie)
	p := ntp.AppendField(request(), ntp.FieldUniqueIdentifier, identifier, 0)
	p = ntp.AppendField(p, ntp.FieldCookie, cookie, 0)
	seal := make([]byte, 4+16+16)
	rand.Read(seal)
	binary.BigEndian.PutUint16(seal, 16)
	binary.BigEndian.PutUint16(seal[2:], 16)
	p = ntp.AppendField(p, ntp.FieldAuthenticator, seal, 0)
	answer, err := ask(from, server.IPv4, p)
	if err != nil {
		return err
	}
	if err := checkHeader(p, answer, "NTSN"); err != nil {
		return err
	}
	f, ok := ntp.FieldAt(answer, ntp.HeaderLen)
	if !ok || f.Type != ntp.FieldUniqueIdentifier || !bytes.Equal(f.Body(answer), identifier) || len(answer) != ntp.HeaderLen+f.Length {
		return fmt.Errorf("NTS NAK does not carry just the unique identifier: % x", answer[ntp.HeaderLen:])
	}
	return nil
}

// forgedAutokeyCookie sends a plain Autokey request whose MAC was made with
// nobody's cookie.
func forgedAutokeyCookie(from, server *Host) error { return cryptoNAK(from, server, 0x7badcafe) }

// forgedMAC sends a symmetric-key request whose MAC was made with nobody's key.
func forgedMAC(from, server *Host) error { return cryptoNAK(from, server, 1) }

// cryptoNAK sends a request with a random MAC and wants a crypto-NAK.
func cryptoNAK(from, server *Host, keyID uint32) error {
	p := binary.BigEndian.AppendUint32(request(), keyID)
	mac := make([]byte, 16)
	rand.Read(mac)
	p = append(p, mac...)
	answer, err := ask(from, server.IPv4, p)
	if err != nil {
		return err
	}
	if err := checkHeader(p, answer, ""); err != nil {
		return err
	}
	if !bytes.Equal(answer[ntp.HeaderLen:], make([]byte, 4)) {
		return fmt.Errorf("not a crypto-NAK: % x", answer[ntp.HeaderLen:])
	}
	return nil
}

// rejected counts what a classic ntpd threw away for its timestamps.
func rejected(h *Host) func() (int, error) {
	return func() (int, error) {
		a, err := QueryNTPD(h)
		return a.Stats["duplicate"] + a.Stats["bogus origin"] + a.Stats["bad authentication"], err
	}
}

// replay sends the newest answer of the server to the client once more, several
// times; the client must throw them away and count them. The newest, since an
// Autokey client drops older ones for their key identifier without counting;
// more often than it must be, since the client may have asked anew meanwhile.
func replay(t *testing.T, w *Wire, server, client *Host, rejected func() (int, error)) {
	t.Helper()
	toClient := func(p Packet) bool {
		return p.From == netip.AddrPortFrom(server.IPv4, ntpPort) && p.To == netip.AddrPortFrom(client.IPv4, ntpPort)
	}
	if len(w.Packets(toClient)) == 0 {
		t.Fatalf("%s: no answers were recorded", client.Name)
	}
	before, err := rejected()
	if err != nil {
		t.Fatal(err)
	}
	const times = 3
	Await(t, 30*time.Second, Condition{client.Name + ": replay", func() error {
		answers := w.Packets(toClient)
		if err := w.Replay(answers[len(answers)-1]); err != nil {
			return permanent{err}
		}
		after, err := rejected()
		if err == nil && after-before < times {
			err = fmt.Errorf("%d of %d replayed answers were rejected", after-before, times)
		}
		return err
	}})
}

// amplified fails the test for each answer that is longer than the request it
// belongs to, Autokey's extension fields excepted.
func amplified(t *testing.T, w *Wire) {
	t.Helper()
	asked := map[netip.AddrPort]int{} // length of the client's last request
	answers := 0
	for _, p := range w.Packets(func(Packet) bool { return true }) {
		switch ntp.ModeOf(p.Payload) {
		case ntp.ModeClient:
			asked[p.From] = len(p.Payload)
		case ntp.ModeServer:
			answers++
			if length, ok := asked[p.To]; ok && len(p.Payload) > length && !autokeyField(p.Payload) {
				t.Errorf("answer of %d octets to %v, which had asked with %d", len(p.Payload), p.To, length)
			}
		}
	}
	t.Logf("%d answers, none longer than its request", answers)
}

// autokeyField tells whether the first extension field is one of Autokey: a
// response (bit 31) of version 2.
func autokeyField(p []byte) bool {
	f, ok := ntp.FieldAt(p, ntp.HeaderLen)
	return ok && len(p) > ntp.HeaderLen+24 && f.Type>>8&0xbf == 0x82
}

// TestExpiredAutokeyCertificate runs a server whose Autokey certificate has
// expired. As a real ntpd, it must refuse to sign the client's certificate, by
// a response with the error bit; the client then starts over.
func TestExpiredAutokeyCertificate(t *testing.T) {
	t.Parallel()
	s := newSite(t, "-l", "0")
	client := s.Host("unsigned")
	s.Names()
	wire := s.host.Record()
	s.Start()
	c := ntpdAutokeyClient(client, serverName, "", "")
	const signError = 0xc206 // response, error, version 2, operation SIGN
	c.Good = func() error {
		a, err := QueryNTPD(client)
		if err != nil {
			return err
		}
		if a.Flags&FlagSIGN != 0 {
			return permanent{fmt.Errorf("flags %#x: the certificate was signed by an expired one", a.Flags)}
		}
		if len(wire.Packets(func(p Packet) bool {
			f, ok := ntp.FieldAt(p.Payload, ntp.HeaderLen)
			return ok && f.Type == signError && p.To.Addr() == client.IPv4
		})) == 0 {
			return fmt.Errorf("no refused SIGN on the wire; flags %#x, %v", a.Flags, a.Stats)
		}
		return nil
	}
	Await(t, limit, c.Condition())
	counters, err := s.Counters()
	if err == nil && counters.Count("autokey", "bad-field") == 0 {
		t.Errorf("the refusal was not counted: %+v", counters)
	} else if err != nil && !errors.Is(err, errNoCounters) {
		t.Error(err)
	}
}
