package main

import (
	"fmt"
	"math"
	"time"

	"github.com/spf13/cobra"

	"ntsbridge/bridge/measure"
	"ntsbridge/nts/aead"
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

	caFiles []string
	ntsPort uint16
	aeads   []uint

	format string
}

// newQueryCommand returns the command that measures servers and sets nothing.
func newQueryCommand() *cobra.Command {
	var f queryFlags
	cmd := &cobra.Command{
		Use:   "query [--auth none|key|autokey|nts] SERVER...",
		Short: "Measure a server's time and say how it authenticates",
		Long: `Measures the offset of servers and prints it with delay, stratum and the state
of authentication, and what the servers that agree say together, as chronyd -Q
and ntpdate -q do. Never sets the clock. A server is a name or an address.

  --auth none      unauthenticated
  --auth key       a symmetric key: --keys FILE --key-id N
  --auth autokey   Autokey (RFC 5906), legacy-signed: --keysdir DIR with the files
                   of this host, --ident GROUP to check the server's identity.
                   Without --keysdir a key is made for this query alone.
  --auth nts       Network Time Security: --ca FILE for a private authority

When a measurement fails, the cause is named, with what to do; with --json the
cause is one word. If requests with authentication get no answer, some without
find out why.

Exit status: 0 all servers were measured, and most of them agree; 1 one was not,
or there is no majority; 2 wrong usage.`,
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
	flags.StringVar(&f.format, "format", "text", "text, or the lines of chrony (chronyd -Q) or ntpdate (ntpdate -q) for scripts that "+
		"read those")
	flags.StringVar(&f.keyFile, "keys", "", "key `FILE` of ntpd, ntpsec or chronyd")
	flags.StringVar(&f.keyFormat, "keys-format", "auto", "format of the key file: auto, ntp, ntpsec, chrony")
	flags.Uint32Var(&f.keyID, "key-id", 0, "`NUMBER` of the key")
	f.autokey.register(flags)
	flags.StringSliceVar(&f.caFiles, "ca", nil, "PEM `FILE`, or directory of such, of the authorities that may certify NTS servers, or \"system\"; "+
		"may be given several times; default: the system's")
	flags.Uint16Var(&f.ntsPort, "nts-port", 4460, "TCP port of NTS key establishment")
	flags.UintSliceVar(&f.aeads, "aead", nil, "`NUMBERS` of NTS algorithms in order of preference: 15, 16, 17 (AES-SIV-CMAC-256, "+
		"384, 512), 30 (AES-128-GCM-SIV); default: all")
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
	case f.port == 0 || f.ntsPort == 0:
		return usageError("--port and --nts-port must not be 0")
	case f.format != "text" && f.format != "chrony" && f.format != "ntpdate":
		return usageError("--format %q: want text, chrony or ntpdate", f.format)
	case f.format != "text" && f.json:
		return usageError("--json and --format exclude each other")
	}
	for _, id := range f.aeads {
		if id > math.MaxUint16 || !aead.Supported(aead.ID(id)) {
			return usageError("--aead %d: want 15, 16, 17 or 30", id)
		}
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
	cfg, err := f.prepare()
	if err != nil {
		return err
	}
	results := measure.Servers(cmd.Context(), cfg, servers)
	c, err := measure.Combine(results, time.Now())
	if err != nil {
		return err
	}
	if err := f.print(cmd.OutOrStdout(), results, c); err != nil {
		return err
	}
	if failed := len(results) - c.Measured; failed > 0 {
		return fmt.Errorf("query: %d of %d servers could not be measured", failed, len(results))
	}
	if !c.OK {
		return fmt.Errorf("query: the %d servers disagree: there is no majority", len(results))
	}
	return nil
}
