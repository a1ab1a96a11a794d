package measure

import (
	"context"
	"net"
	"strconv"
	"strings"
	"sync"

	"ntsbridge/autokey"
	"ntsbridge/bridge/ntp"
	"ntsbridge/bridge/source"
)

// Servers measures all servers at once, names or addresses, each until it has
// all samples, is hopeless or runs out of time. The results are in the order of
// the names. The configuration must be whole.
func Servers(ctx context.Context, c *Config, names []string) []*Result {
	results := make([]*Result, len(names))
	var wg sync.WaitGroup
	for i, name := range names {
		wg.Go(func() {
			one, host := c.at(name)
			results[i] = one.measure(ctx, host)
			results[i].Name = name
		})
	}
	wg.Wait()
	return results
}

// at takes the port out of "host:port" and "[address]:port": the TCP port of
// key establishment with NTS, else the UDP port. "[address]" is the address.
func (c *Config) at(name string) (*Config, string) {
	if inside, ok := strings.CutPrefix(name, "["); ok && strings.HasSuffix(inside, "]") {
		return c, strings.TrimSuffix(inside, "]")
	}
	host, text, err := net.SplitHostPort(name)
	if err != nil || strings.Contains(host, ":") && !strings.HasPrefix(name, "[") {
		return c, name
	}
	port, err := strconv.ParseUint(text, 10, 16)
	if err != nil || port == 0 || host == "" {
		return c, name
	}
	one := *c
	if c.Kind == ntp.KindNTS {
		one.NTS.Port = uint16(port)
	} else {
		one.Port = uint16(port)
	}
	return &one, host
}

// measure measures one server.
func (c *Config) measure(parent context.Context, name string) *Result {
	r := &Result{Name: name, want: c.Samples}
	ctx, cancel := context.WithTimeout(parent, c.Timeout)
	defer cancel()
	clock := source.NewSystemClock(nil)
	auth, err := c.authenticator(ctx, name, r)
	if err != nil {
		r.Err = err
		return r
	}
	client, err := source.NewClient(source.ClientConfig{
		Server: r.Address, Version: c.Version, Auth: auth, Clock: clock,
		Polling: source.Polling{
			MinPoll: 6, MaxPoll: 10, IBurst: true, BurstLen: 1 << 20, BurstInterval: c.Interval,
		},
		OnSample: func(s source.Sample) {
			r.Samples = append(r.Samples, s)
			r.last, r.repeated = nil, 0
			c.synchronised(clock, &s)
		},
		OnError: func(err error) {
			if r.note(err) {
				cancel()
			}
		},
		OnPacket: func(source.Judgement) {
			if c.done(r) {
				cancel()
			}
		},
	})
	if err != nil {
		r.Err = err
		return r
	}
	err = client.Run(ctx)
	if r.client != nil {
		r.Autokey = &AutokeyState{State: r.client.State()}
		for _, cert := range c.Autokey.Credentials.Certificates() {
			r.Autokey.Certificates = append(r.Autokey.Certificates, cert.String())
		}
	}
	if !c.done(r) {
		r.Err = r.cause(err)
	}
	c.investigate(parent, auth, r)
	return r
}

// synchronised lets Autokey sign: the server's time is good enough for that,
// though not for the clock.
func (c *Config) synchronised(clock *source.SystemClock, s *source.Sample) {
	if !c.Autokey.Sign || clock.State().Synchronised() {
		return
	}
	clock.SetState(&ntp.ClockState{Stratum: s.Header.Stratum + 1, Precision: -20})
	c.Autokey.Credentials.SignatureUpdate(s.At)
}

// done reports whether there is all that is wanted.
func (c *Config) done(r *Result) bool {
	return len(r.Samples) >= c.Samples && (r.client == nil || !c.Autokey.Sign || signed(r.client))
}

// signed reports whether an Autokey association has got everything.
func signed(client *autokey.Client) bool {
	want := autokey.Status(autokey.FlagSIGN | autokey.FlagLEAP)
	return client.State().Status&want == want
}
