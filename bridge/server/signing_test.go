package server

import (
	"encoding/binary"
	"io"
	"net"
	"net/netip"
	"path/filepath"
	"testing"
	"time"

	"ntsbridge/bridge/access"
	"ntsbridge/bridge/ntp"
	"ntsbridge/bridge/server/signd"
)

// memberRequest is what a member of a domain sends: version 3, no reference, as
// w32time, with its account and room for the checksum.
func memberRequest(mode ntp.Mode, account uint32, extended bool) []byte {
	h := ntp.Header{Leap: ntp.LeapUnknown, Version: 3, Mode: mode, Poll: 10, Precision: -23, RootDispersion: 1 << 16, Transmit: 42}
	p := make([]byte, msSNTPLen)
	if extended {
		p = make([]byte, msSNTPExtendedLen)
		p[ntp.HeaderLen+5], p[ntp.HeaderLen+6] = useOldKey, 1 // former secret; understands this form
	}
	h.Encode(p)
	binary.LittleEndian.PutUint32(p[ntp.HeaderLen:], account)
	return p
}

// signer plays Samba: it signs for the account 1104 with the account itself, says
// nothing on 1105, and refuses others.
func signer(t *testing.T) string {
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
			go serveSigner(c)
		}
	}()
	return name
}

func serveSigner(c net.Conn) {
	defer c.Close()
	for b := make([]byte, 20+ntp.HeaderLen); ; {
		if _, err := io.ReadFull(c, b); err != nil {
			return
		}
		reply := binary.BigEndian.AppendUint32(nil, 12)
		switch binary.LittleEndian.Uint32(b[16:]) &^ (1 << 31) {
		case 1104:
			reply = binary.BigEndian.AppendUint32(nil, uint32(12+ntp.HeaderLen+signd.SignatureLen))
			reply = append(reply, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 0)
			reply = append(append(reply, b[20:]...), b[16:20]...)
			reply = append(reply, "signed by samba!"...)
		case 1105:
			continue
		default:
			reply = append(reply, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 0)
		}
		_, _ = c.Write(reply)
	}
}

func signingState(t *testing.T, socket string, rate int) *State {
	t.Helper()
	state := testState(t, access.Rule{Prefix: netip.MustParsePrefix("127.0.0.0/8"), Action: access.Allow, Kinds: access.AllKinds,
		MinVersion: 1, MSSNTP: true}, access.Rule{Prefix: netip.MustParsePrefix("127.0.0.2/32"), Action: access.Allow,
		Kinds: access.AllKinds, MinVersion: 1})
	pool, err := access.NewPool(access.Bucket{Rate: 1e-3, Burst: rate})
	if err != nil {
		t.Fatal(err)
	}
	state.Signing = &Signing{Socket: socket, Timeout: 500 * time.Millisecond, Rate: pool}
	return state
}

// Members get an answer with Samba's signature, in both forms and both modes;
// others what they get without it.
func TestMSSNTP(t *testing.T) {
	state := signingState(t, signer(t), 100)
	s, at := start(t, Options{}, state, "127.0.0.1:0")
	c := dial(t, at[0])
	for name, test := range map[string]struct {
		request []byte
		mode    ntp.Mode
		account uint32 // as signed for
	}{
		"client":          {memberRequest(ntp.ModeClient, 1104, false), ntp.ModeServer, 1104},
		"symmetric":       {memberRequest(ntp.ModeSymmetricActive, 1104, false), ntp.ModeSymmetricPassive, 1104},
		"former secret":   {memberRequest(ntp.ModeClient, 1104|1<<31, false), ntp.ModeServer, 1104 | 1<<31},
		"extended":        {memberRequest(ntp.ModeClient, 1104, true), ntp.ModeServer, 1104 | 1<<31},
		"unknown account": {memberRequest(ntp.ModeClient, 2000, false), 0, 0},
		"not answered":    {memberRequest(ntp.ModeClient, 1105, false), 0, 0},
	} {
		answer := ask(t, c, test.request)
		if test.mode == 0 {
			if answer != nil {
				t.Errorf("%s: %x", name, answer)
			}
			continue
		}
		if len(answer) != msSNTPLen || binary.LittleEndian.Uint32(answer[ntp.HeaderLen:]) != test.account ||
			string(answer[ntp.HeaderLen+4:]) != "signed by samba!" {
			t.Errorf("%s: %x", name, answer)
			continue
		}
		h := decode(t, answer)
		if h.Mode != test.mode || h.Version != 3 || h.Origin != 42 || h.Stratum != 2 || h.Transmit < h.Receive {
			t.Errorf("%s: %+v", name, h)
		}
	}
	n := counted(s, func(n *Counters) bool { return n.Signed >= 4 && n.Answered(ntp.KindNone) >= 4 })
	if n.Signed != 4 || reasonTotal(n, ntp.ReasonUnknownKey) != 1 || reasonTotal(n, ntp.ReasonNoSigner) != 1 ||
		n.Answered(ntp.KindNone) != 4 {
		t.Errorf("signed %d, refused %d, not answered %d, answers of kind none %d", n.Signed, reasonTotal(n, ntp.ReasonUnknownKey),
			reasonTotal(n, ntp.ReasonNoSigner), n.Answered(ntp.KindNone))
	}
	if h := decode(t, ask(t, c, request(4, ntp.ModeClient, 7))); h.Origin != 7 {
		t.Errorf("a client without authentication got %+v", h)
	}
	// Without the rule a member is a client with a key that nobody has.
	other, err := net.DialUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 2)}, net.UDPAddrFromAddrPort(at[0]))
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	if answer := ask(t, other, memberRequest(ntp.ModeClient, 1104, false)); len(answer) != ntp.HeaderLen+4 {
		t.Errorf("without the rule: %x", answer)
	}
}

// Samba is asked no more than its rate, and nobody else waits for it.
func TestMSSNTPIsBounded(t *testing.T) {
	state := signingState(t, signer(t), 3)
	s, at := start(t, Options{}, state, "127.0.0.1:0")
	c := dial(t, at[0])
	silent := memberRequest(ntp.ModeClient, 1105, false)
	for range 8 {
		if _, err := c.Write(silent); err != nil {
			t.Fatal(err)
		}
	}
	begin := time.Now()
	if h := decode(t, ask(t, c, request(4, ntp.ModeClient, 7))); h.Origin != 7 || time.Since(begin) > 400*time.Millisecond {
		t.Errorf("another client got %+v after %v", h, time.Since(begin))
	}
	for s.Counters().SignDropped < 5 && time.Since(begin) < 10*time.Second {
		time.Sleep(time.Millisecond)
	}
	if n := s.Counters().SignDropped; n < 5 || n > 8 {
		t.Errorf("%d of 8 requests were dropped, want 5 and those that waited too long", n)
	}
}

// Without Samba nobody is answered, and when it comes they are.
func TestMSSNTPWithoutSamba(t *testing.T) {
	s, at := start(t, Options{}, signingState(t, filepath.Join(t.TempDir(), "none"), 100), "127.0.0.1:0")
	c := dial(t, at[0])
	if answer := ask(t, c, memberRequest(ntp.ModeClient, 1104, false)); answer != nil {
		t.Errorf("%x", answer)
	}
	if n := reasonTotal(s.Counters(), ntp.ReasonNoSigner); n != 1 {
		t.Errorf("%d requests without a signer, want 1", n)
	}
	s.SetState(signingState(t, signer(t), 100))
	if answer := ask(t, c, memberRequest(ntp.ModeClient, 1104, false)); len(answer) != msSNTPLen {
		t.Errorf("after a reload: %x", answer)
	}
}
