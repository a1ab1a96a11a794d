package source

import (
	"errors"
	"fmt"
	"net/netip"
	"time"

	"ntsbridge/bridge/ntp"
)

// receive handles one packet. An error is one that ends the association.
func (c *Client) receive(p received) error {
	r := c.request
	open := r.open
	sample, j := c.judge(p)
	answered := open && !r.open
	if c.cfg.OnPacket != nil {
		defer c.cfg.OnPacket(j)
	}
	var kiss *KissError
	errors.As(j.Err, &kiss)
	c.mu.Lock()
	c.count(r, sample, &j, kiss)
	c.mu.Unlock()
	if j.Err != nil {
		c.failed(j.Err)
	}
	if kiss != nil && c.cfg.OnKiss != nil {
		c.cfg.OnKiss(kiss)
	}
	if sample != nil && c.cfg.OnSample != nil {
		c.cfg.OnSample(*sample)
	}
	if answered {
		if r.outcome == nothing {
			c.missed(r)
		}
		c.settle()
	}
	if kiss != nil && (kiss.Code == "DENY" || kiss.Code == "RSTR") {
		return kiss
	}
	return nil
}

// count notes what came of a packet. The caller holds c.mu.
func (c *Client) count(r *request, sample *Sample, j *Judgement, kiss *KissError) {
	c.counts.Received++
	if j.Again {
		c.schedule.Continue()
	}
	switch {
	case kiss != nil:
		c.counts.Kisses++
		if kiss.Code == "RATE" {
			c.schedule.Rate(kiss.Poll)
		}
		c.schedule.Answered()
	case j.Err == nil, errors.Is(j.Err, ErrUnsynchronised):
		c.schedule.Answered()
	case errors.Is(j.Err, errDelay), errors.Is(j.Err, errStep), errors.Is(j.Err, errBogus):
		c.counts.Rejected++
		c.schedule.Answered()
	default:
		c.counts.Refused++
	}
	switch {
	case r.presend:
	case errors.Is(j.Err, errDelay), r.outcome == sampled:
		c.schedule.Reached()
	}
	if r.presend && kiss != nil && kiss.Code == "RATE" {
		if wait := r.sent.Add(c.schedule.Shortest()); wait.After(c.due) {
			c.due = wait
		}
	}
	if sample == nil {
		return
	}
	c.counts.Good++
	c.schedule.Sampled(sample.Delay)
	switch min(sample.TX, sample.RX) {
	case StampKernel:
		c.counts.Kernel++
	case StampHardware:
		c.counts.Hardware++
	}
	c.err = nil
	c.recent.add(sample)
}

// judge checks one packet: form, origin, authentication, header, timestamps.
// Nothing that is not authentic changes any state but counters.
func (c *Client) judge(p received) (*Sample, Judgement) {
	r := c.request
	if len(p.data) < ntp.HeaderLen {
		return nil, Judgement{Err: errPacket}
	}
	var h ntp.Header
	h.Decode(p.data)
	basic, interleaved := h.Origin == r.nonce, r.echo != 0 && h.Origin == r.echo
	switch {
	case h.Mode != ntp.ModeServer, h.Version == 0, h.Version > 4:
		return nil, Judgement{Err: errPacket}
	case !r.open || !basic && !interleaved:
		if h.Origin != 0 && (basic || interleaved || h.Origin == c.old[0] || h.Origin == c.old[1]) {
			c.duplicate()
		}
		return nil, Judgement{Err: ErrOrigin}
	}
	j := c.cfg.Auth.Open(momentOf(c.cfg.Clock), p.data)
	if j.Err != nil {
		return nil, j
	}
	r.open = false // one answer for each request
	if !j.Usable {
		r.outcome = reply
		return nil, j
	}
	if j.Err = usable(&h); j.Err != nil {
		var kiss *KissError
		if errors.As(j.Err, &kiss) {
			r.outcome = reply
		}
		return nil, j
	}
	c.socket.awaitTransmitted(&r.departure)
	r.times = exchanged{t1: r.at, t2: h.Receive, t3: h.Transmit, t4: p.at}
	r.end, r.uptime = p.pair, c.cfg.Clock.Uptime()-time.Duration(p.pair.Raw-p.at.raw)
	var s *Sample
	if interleaved {
		s, j.Err = c.interleaved(&h)
	} else {
		s, j.Err = c.sample(r, r.times, &h)
	}
	if errors.Is(j.Err, errBogus) {
		r.times = exchanged{} // interleaved mode begins anew
	}
	return s, j
}

// duplicate counts an answer that came again.
func (c *Client) duplicate() {
	c.mu.Lock()
	c.counts.Duplicates++
	c.mu.Unlock()
}

// interleaved makes a sample of the exchange before the last, of which the
// header tells when the answer left. The request of that exchange is the one
// to measure by: from it to its answer it is only the round trip, while the
// request that asked was sent a poll interval later.
func (c *Client) interleaved(h *ntp.Header) (*Sample, error) {
	c.mu.Lock()
	c.counts.Interleaved++
	c.mu.Unlock()
	before := c.answered
	times := before.times
	times.t3 = h.Transmit
	// What h tells of the present exchange is when the request came only.
	c.request.times.t3 = 0
	fuzz := power2(h.Precision)
	if late := h.Transmit.Sub(h.Receive); late > fuzz {
		return nil, fmt.Errorf("%w: the answer before left %v after this request came", errBogus, late)
	}
	if before.used {
		c.request.outcome = sampled
		return nil, nil
	}
	if err := unstepped(before.end, c.request.end); err != nil {
		c.request.outcome = reply
		return nil, err
	}
	s, err := c.sample(before, times, h)
	if s != nil {
		s.Interleaved = true
	}
	return s, err
}

// sample makes a sample of the times of request r; h is the header that
// completed them.
func (c *Client) sample(r *request, times exchanged, h *ntp.Header) (*Sample, error) {
	local := c.cfg.Clock.State().Precision
	if err := unstepped(r.before, r.end); err != nil {
		c.request.outcome = reply
		return nil, err
	}
	if err := times.check(local, h.Precision); err != nil {
		return nil, err
	}
	if c.request.presend {
		return nil, nil
	}
	c.request.outcome = reply
	s := measure(&times, h, local)
	if err := c.delays.check(&times, &s); err != nil {
		return nil, err
	}
	r.used = true
	c.request.outcome = sampled
	s.Uptime, s.Kind, s.Local = r.uptime, c.cfg.Auth.Kind(), c.socket.local
	s.Loop = c.itself || looped(h, c.socket.local, c.cfg.Self)
	s.Header.Stratum = max(s.Header.Stratum, c.cfg.MinStratum)
	return &s, nil
}

// looped reports whether the server follows this host.
func looped(h *ntp.Header, local netip.Addr, self func(uint32) bool) bool {
	if h.Stratum < 2 {
		return false // an identifier of a reference clock
	}
	return local.IsValid() && h.ReferenceID == ntp.ReferenceID(local) || self != nil && self(h.ReferenceID)
}
