package source

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"syscall"
	"time"

	"ntsbridge/bridge/ntp"
)

// ProbeConfig says what to find out about a server whose answers do not come.
type ProbeConfig struct {
	// Server is the address. Required.
	Server netip.AddrPort
	// Local is the address to send from. Default: the kernel's choice.
	Local netip.Addr
	// Size is the length of the requests that got no answer, octets. Default:
	// 48, without authentication.
	Size int
	// Kind is how they were authenticated.
	Kind ntp.Kind
	// Wait is the time for an answer, and between two requests. Default: 1 s.
	Wait time.Duration
	// Tries is how many requests without answer mean that none comes. Default: 2.
	Tries int
}

// ProbeResult is what packets without authentication tell of the way.
type ProbeResult struct {
	Plain    bool  // a request of 48 octets is answered
	Passed   int   // longest request that is answered, octets; 0: none
	Lost     int   // shortest longer one that is not; 0: none
	NAK      bool  // a request of Size with the cookie of nobody is answered by NTS NAK
	Conflict bool  // two different answers came to one request
	Err      error // why nothing could be sent or came
}

// sizes are the lengths to try, octets: header; with the shortest extension
// field that can go without MAC (RFC 7822); what filters are known to allow; a
// usual NTS request.
var sizes = []int{48, minPadded, 92, 128, 228, 468, 1000}

// Lengths of requests with padding, octets. chronyd drops packets above 1096.
const (
	minPadded = ntp.HeaderLen + 28
	maxPadded = 1024
)

// Probe finds out which packets get to a server and back. It sends at most
// some twenty, at the rate of Wait.
func Probe(ctx context.Context, cfg ProbeConfig) ProbeResult {
	setDefault(&cfg.Size, ntp.HeaderLen)
	setDefault(&cfg.Wait, time.Second)
	setDefault(&cfg.Tries, 2)
	if cfg.Size > ntp.HeaderLen {
		cfg.Size = min(max((cfg.Size+3)&^3, minPadded), maxPadded)
	}
	p := &prober{ProbeConfig: cfg, ctx: ctx}
	d := net.Dialer{}
	if cfg.Local.IsValid() {
		d.LocalAddr = net.UDPAddrFromAddrPort(netip.AddrPortFrom(cfg.Local, 0))
	}
	conn, err := d.DialContext(ctx, "udp", cfg.Server.String())
	if err != nil {
		p.result.Err = err
		return p.result
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.SetReadDeadline(time.Unix(1, 0)) })()
	p.conn = conn
	p.run()
	return p.result
}

type prober struct {
	ProbeConfig
	ctx    context.Context
	conn   net.Conn
	result ProbeResult
}

func (p *prober) run() {
	r := &p.result
	if r.Plain = p.answered(padded(ntp.HeaderLen), isAnswer); !r.Plain {
		return
	}
	r.Passed = ntp.HeaderLen
	if p.Size == ntp.HeaderLen {
		return
	}
	if p.Kind == ntp.KindNTS && p.Size >= minNTSRequest {
		r.NAK = p.answered(withNobodysCookie(p.Size), isNAK)
	}
	// A packet as long as those that got lost settles it in most cases.
	if p.answered(padded(p.Size), isAnswer) {
		r.Passed = p.Size
		return
	}
	r.Lost = p.Size
	// Halve the sizes between what passes and what does not.
	between := slices.DeleteFunc(slices.Clone(sizes), func(n int) bool { return n <= r.Passed || n >= r.Lost })
	for len(between) > 0 && p.ctx.Err() == nil {
		middle := len(between) / 2
		if n := between[middle]; p.answered(padded(n), isAnswer) {
			r.Passed, between = n, between[middle+1:]
		} else {
			r.Lost, between = n, between[:middle]
		}
	}
}

// answered sends a request, several times if need be, until an answer passes.
func (p *prober) answered(request []byte, good func(*ntp.Header) bool) bool {
	for range p.Tries {
		if p.ctx.Err() != nil {
			return false
		}
		if p.ask(request, good) {
			return true
		}
		if errors.Is(p.result.Err, syscall.ECONNREFUSED) {
			return false
		}
	}
	return false
}

// ask sends a request once. It listens all the time, for a second answer.
func (p *prober) ask(request []byte, good func(*ntp.Header) bool) bool {
	nonce := request[40:48]
	_, _ = rand.Read(nonce)
	if _, err := p.conn.Write(request); err != nil {
		p.result.Err = err
		return false
	}
	deadline := time.Now().Add(p.Wait)
	var first []byte
	found := false
	buf := make([]byte, maxPacket)
	for p.ctx.Err() == nil {
		p.conn.SetReadDeadline(deadline)
		n, err := p.conn.Read(buf)
		if err != nil {
			var timeout net.Error
			if !errors.As(err, &timeout) || !timeout.Timeout() {
				p.result.Err = err
			}
			break
		}
		if n < ntp.HeaderLen || !bytes.Equal(buf[24:32], nonce) {
			continue
		}
		if first != nil && !bytes.Equal(first, buf[:n]) {
			p.result.Conflict = true
		}
		first = bytes.Clone(buf[:n])
		var h ntp.Header
		h.Decode(buf)
		found = found || good(&h)
	}
	return found
}

func isAnswer(h *ntp.Header) bool { return h.Mode == ntp.ModeServer }

func isNAK(h *ntp.Header) bool {
	return h.Mode == ntp.ModeServer && h.Stratum == 0 && h.ReferenceID == ntp.KissCode("NTSN")
}

// fieldPadding is an extension field for experiments, which servers ignore.
const fieldPadding = 0xf501

// padded returns a request of 48 octets, or of a multiple of 4 from minPadded.
func padded(octets int) []byte {
	p := make([]byte, octets)
	p[0] = 4<<3 | byte(ntp.ModeClient)
	if octets > ntp.HeaderLen {
		binary.BigEndian.PutUint16(p[ntp.HeaderLen:], fieldPadding)
		binary.BigEndian.PutUint16(p[ntp.HeaderLen+2:], uint16(octets-ntp.HeaderLen))
	}
	return p
}

// minNTSRequest is the length of the shortest request that withNobodysCookie
// makes, octets.
const minNTSRequest = ntp.HeaderLen + 36 + 40 + 20

// withNobodysCookie returns an NTS request of octets whose cookie the server
// cannot open.
func withNobodysCookie(octets int) []byte {
	random := make([]byte, octets)
	_, _ = rand.Read(random)
	p := padded(ntp.HeaderLen)
	p = ntp.AppendField(p, ntp.FieldUniqueIdentifier, random[:32], 0)
	p = ntp.AppendField(p, ntp.FieldCookie, random[32:octets-len(p)-40-ntp.FieldHeaderLen+32], 0)
	seal := append([]byte{0, 16, 0, 16}, random[:32]...)
	return ntp.AppendField(p, ntp.FieldAuthenticator, seal, 0)
}

// Explain says why requests of Size octets and of the kind are not answered,
// as far as the probe tells; nil if it tells nothing against them.
func (r *ProbeResult) Explain(cfg ProbeConfig) error {
	port := cfg.Server.Port()
	silence := func(cause Cause, format string, a ...any) error {
		return &silenceError{cause, fmt.Sprintf(format, a...)}
	}
	switch {
	case r.Conflict:
		return ErrSecondAnswer
	case !r.Plain && r.Err != nil:
		return explain(r.Err)
	case !r.Plain:
		return silence(CauseUDPFiltered, "no answer to NTP on UDP port %d, not even to the shortest packet: the server is "+
			"down, does not serve this host, or a packet filter drops UDP", port)
	case cfg.Size <= ntp.HeaderLen:
		return nil
	case r.NAK:
		return silence(CauseSizeFilter, "size filter: NTS requests of %d octets get to the server, but answers of that "+
			"length do not come back, though short ones do", cfg.Size)
	case r.Lost > 0:
		return silence(CauseSizeFilter, "size filter: NTP packets of up to %d octets are answered, those of %d and more get "+
			"lost, and ours have %d", r.Passed, r.Lost, cfg.Size)
	case cfg.Kind == ntp.KindNTS:
		return silence(causeNTSSilent, "the server on UDP port %d answers unauthenticated packets, also of %d octets, but "+
			"none with NTS", port, cfg.Size)
	case cfg.Kind == ntp.KindSymmetric:
		return silence(CauseKeySilent, "the server answers unauthenticated packets, also of %d octets, but none with our "+
			"key: it does not know the key, or has another one under its number", cfg.Size)
	}
	return silence(CauseUDPFiltered, "the server answers unauthenticated packets, but none of ours")
}
