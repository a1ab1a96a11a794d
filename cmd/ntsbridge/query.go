package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"ntsbridge/autokey"
	"ntsbridge/bridge/ntp"
	"ntsbridge/bridge/source"
)

// queryFlags are the flags of ntsbridge query.
type queryFlags struct {
	auth       string
	samples    int
	interval   time.Duration
	timeout    time.Duration
	port       uint16
	version    uint8
	ipv4, ipv6 bool
	json       bool

	keyFile, keyFormat string
	keyID              uint32

	autokey autokeyFlags

	caFile  string
	ntsPort uint16
}

// newQueryCommand returns the command that measures servers and sets nothing.
func newQueryCommand() *cobra.Command {
	var f queryFlags
	cmd := &cobra.Command{
		Use:   "query [--auth none|key|autokey|nts] SERVER...",
		Short: "Measure a server's time and say how it authenticates",
		Long: `Measures the offset of servers and prints it with delay, stratum and the state
of authentication. Never sets the clock. A server is a name or an address.

  --auth none      unauthenticated
  --auth key       a symmetric key: --keys FILE --key-id N
  --auth autokey   Autokey (RFC 5906), legacy-signed: --keysdir DIR with the files
                   of this host, --ident GROUP to check the server's identity.
                   Without --keysdir a key is made for this query alone.
  --auth nts       Network Time Security: --ca FILE for a private authority

When a measurement fails, the cause is named. Exit status: 0 all servers were
measured; 1 one was not; 2 wrong usage.`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, servers []string) error { return f.run(cmd, servers) },
	}
	flags := cmd.Flags()
	flags.StringVar(&f.auth, "auth", "none", "`KIND` of authentication: none, key, autokey, nts")
	flags.IntVar(&f.samples, "samples", 4, "`NUMBER` of measurements, 1 to 60")
	flags.DurationVar(&f.interval, "interval", 2*time.Second, "time between packets; servers with rate limits want 2s")
	flags.DurationVar(&f.timeout, "timeout", time.Minute, "give a server up after this time")
	flags.Uint16Var(&f.port, "port", 123, "UDP port")
	flags.Uint8Var(&f.version, "ntpversion", 4, "NTP version of the requests, 1 to 4")
	flags.BoolVarP(&f.ipv4, "ipv4", "4", false, "use IPv4 addresses only")
	flags.BoolVarP(&f.ipv6, "ipv6", "6", false, "use IPv6 addresses only")
	flags.BoolVar(&f.json, "json", false, "print JSON")
	flags.StringVar(&f.keyFile, "keys", "", "key `FILE` of ntpd, ntpsec or chronyd")
	flags.StringVar(&f.keyFormat, "keys-format", "auto", "format of the key file: auto, ntp, ntpsec, chrony")
	flags.Uint32Var(&f.keyID, "key-id", 0, "`NUMBER` of the key")
	f.autokey.register(flags)
	flags.StringVar(&f.caFile, "ca", "", "PEM `FILE` of the authorities that may certify NTS servers; default: the system's")
	flags.Uint16Var(&f.ntsPort, "nts-port", 4460, "TCP port of NTS key establishment")
	return cmd
}

func (f *queryFlags) check() error {
	switch {
	case f.samples < 1 || f.samples > 60:
		return usageError("--samples %d: want 1 to 60", f.samples)
	case f.interval < 10*time.Millisecond || f.timeout <= 0:
		return usageError("--interval must be at least 10ms, --timeout positive")
	case f.ipv4 && f.ipv6:
		return usageError("-4 and -6 exclude each other")
	case f.version < 1 || f.version > 4:
		return usageError("--ntpversion %d: want 1 to 4", f.version)
	case f.auth == "nts" && f.version != 4:
		return usageError("NTS is for NTP version 4 only")
	case f.auth == "key" && (f.keyFile == "" || f.keyID == 0):
		return usageError("--auth key needs --keys FILE and --key-id NUMBER")
	case f.port == 0:
		return usageError("--port 0")
	}
	switch f.auth {
	case "none", "key", "autokey", "nts":
		return nil
	}
	return usageError("--auth %q: want none, key, autokey or nts", f.auth)
}

func (f *queryFlags) run(cmd *cobra.Command, servers []string) error {
	if err := f.check(); err != nil {
		return err
	}
	kit, err := f.prepare()
	if err != nil {
		return err
	}
	results := make([]*queryResult, len(servers))
	var wg sync.WaitGroup
	for i, name := range servers {
		wg.Go(func() {
			ctx, cancel := context.WithTimeout(cmd.Context(), f.timeout)
			defer cancel()
			results[i] = f.measure(ctx, kit, name)
		})
	}
	wg.Wait()
	failed := 0
	for _, r := range results {
		if r.err != nil {
			failed++
		}
	}
	if err := f.print(cmd.OutOrStdout(), results); err != nil {
		return err
	}
	if failed > 0 {
		return fmt.Errorf("query: %d of %d servers could not be measured", failed, len(results))
	}
	return nil
}

// resolve finds the first address of a server.
func (f *queryFlags) resolve(ctx context.Context, name string) (netip.Addr, error) {
	network := "ip"
	if f.ipv4 {
		network = "ip4"
	} else if f.ipv6 {
		network = "ip6"
	}
	if a, err := netip.ParseAddr(name); err == nil {
		if f.ipv4 && !a.Unmap().Is4() || f.ipv6 && a.Unmap().Is4() {
			return netip.Addr{}, fmt.Errorf("%s is of the other address family", name)
		}
		return a.Unmap(), nil
	}
	addrs, err := net.DefaultResolver.LookupNetIP(ctx, network, name)
	if err != nil {
		return netip.Addr{}, fmt.Errorf("name resolution: %w", err)
	}
	return addrs[0].Unmap(), nil
}

// measure measures one server.
func (f *queryFlags) measure(ctx context.Context, kit *queryKit, name string) *queryResult {
	r := &queryResult{name: name, want: f.samples}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	clock := source.NewSystemClock(nil)
	auth, server, err := f.authenticator(ctx, kit, name, r)
	if err != nil {
		r.err = err
		return r
	}
	r.address = server
	client, err := source.NewClient(source.ClientConfig{
		Server: server, Version: f.version, Auth: auth, Clock: clock,
		Polling: source.Polling{
			MinPoll: 6, MaxPoll: 10, IBurst: true, BurstLen: 1 << 20, BurstInterval: f.interval,
		},
		OnSample: func(s source.Sample) {
			r.samples = append(r.samples, s)
			r.last, r.repeated = nil, 0
			f.synchronised(clock, kit, &s)
		},
		OnError: func(err error) {
			if r.note(err) {
				cancel()
			}
		},
		OnPacket: func(source.Judgement) {
			if r.done(f) {
				cancel()
			}
		},
	})
	if err != nil {
		r.err = err
		return r
	}
	err = client.Run(ctx)
	if r.autokey != nil {
		r.state = r.autokey.State()
	}
	if !r.done(f) {
		r.err = r.cause(err)
	}
	return r
}

// synchronised lets Autokey sign: the server's time is good enough for that,
// though not for the clock.
func (f *queryFlags) synchronised(clock *source.SystemClock, kit *queryKit, s *source.Sample) {
	if !f.autokey.sign || clock.State().Synchronised() {
		return
	}
	clock.SetState(&ntp.ClockState{Stratum: s.Header.Stratum + 1, Precision: -20})
	kit.credentials.SignatureUpdate(s.At)
}

// hopeless is how often in a row a cause that waiting does not mend must come
// until a server is given up.
const hopeless = 3

// note remembers what went wrong, the telling before the mere timeout, and
// reports whether there is no hope.
func (r *queryResult) note(err error) bool {
	if r.last != nil && errors.Is(err, source.ErrTimeout) {
		return false
	}
	r.last = err
	var m *autokey.MessageError
	lasting := errors.Is(err, source.ErrCryptoNAK) || errors.Is(err, autokey.ErrCryptoNAK) || errors.Is(err, syscall.ECONNREFUSED)
	if errors.As(err, &m) {
		switch m.Event {
		case autokey.EventMD, autokey.EventKEY, autokey.EventID, autokey.EventFSP:
			lasting = true
		}
	}
	if lasting {
		r.repeated++
	}
	return r.repeated >= hopeless
}

// done reports whether there is all that is wanted.
func (r *queryResult) done(f *queryFlags) bool {
	return len(r.samples) >= f.samples && (r.autokey == nil || !f.autokey.sign || r.signed())
}

// cause names why there are not enough samples.
func (r *queryResult) cause(err error) error {
	var kiss *source.KissError
	switch {
	case errors.As(err, &kiss):
		return fmt.Errorf("the server refuses to serve this host: %w", err)
	case r.autokey != nil:
		return r.autokeyCause()
	case len(r.samples) > 0 && r.last != nil:
		return fmt.Errorf("only %d of %d samples: %w", len(r.samples), r.want, r.last)
	case errors.Is(r.last, source.ErrTimeout) || r.last == nil:
		return fmt.Errorf("%w: the server is down, does not serve this host, or a packet filter drops UDP port %d", source.ErrTimeout, r.address.Port())
	}
	return r.last
}
