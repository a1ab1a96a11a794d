package interop

import (
	"context"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// queryTimeout bounds one run of ntpq, chronyc or ntp-ctl.
const queryTimeout = 10 * time.Second

// Flags of an Autokey association (ntpq rv ASSOC flags; ntp_crypto.h).
const (
	FlagIFF  = 0x0020 // the server offers IFF
	FlagCERT = 0x0100 // trusted certificate found
	FlagVRFY = 0x0200 // identity confirmed
	FlagPROV = 0x0400 // signature verified
	FlagCOOK = 0x0800 // cookie agreed (AGREE in older texts)
	FlagAUTO = 0x1000 // autokey values there
	FlagSIGN = 0x2000 // own certificate signed by the server
	FlagLEAP = 0x4000 // leap seconds values there
)

// Association is what ntpq tells of the only association of an ntpd.
type Association struct {
	Auth     string // of as: ok, bad, none, or empty before the first packet
	Reach    uint8
	Flags    uint32 // Autokey's; 0 without
	Received string // when the last good packet came, as ntpq prints it
	// Of pstats, as far as the daemon knows the command: counts by name.
	Stats map[string]int
}

var (
	associationRow = regexp.MustCompile(`(?m)^ +1 +\d+ +[0-9a-f]{4} +(?:yes|no) +(?:yes|no) +(\S+) `)
	reachVariable  = regexp.MustCompile(`\breach=([0-7]+)`)
	recVariable    = regexp.MustCompile(`\brec=([0-9a-f]{8}\.[0-9a-f]{8})`)
	flagsVariable  = regexp.MustCompile(`\bflags=0x([0-9a-f]+)`)
	statsRow       = regexp.MustCompile(`(?m)^([a-z ]+): +(\d+)$`)
)

// QueryNTPD asks an ntpd, classic or ntpsec's, by the classic ntpq.
func QueryNTPD(h *Host) (Association, error) {
	ctx, cancel := context.WithTimeout(context.Background(), queryTimeout)
	defer cancel()
	// Version 4, since ntpsec does not answer ntpq's default, version 2.
	out, err := h.Output(ctx, NTPQ, "-n", "-c", "ntpversion 4", "-c", "as", "-c", "rv &1", "-c", "pstats &1", "127.0.0.1")
	if err != nil {
		return Association{}, err
	}
	row := associationRow.FindStringSubmatch(out)
	if row == nil {
		return Association{}, fmt.Errorf("ntpq on %s shows no association: %q", h.Name, out)
	}
	a := Association{Auth: row[1], Stats: map[string]int{}}
	a.Reach = uint8(number(reachVariable, out, 8))
	a.Flags = uint32(number(flagsVariable, out, 16))
	if m := recVariable.FindStringSubmatch(out); m != nil {
		a.Received = m[1]
	}
	for _, m := range statsRow.FindAllStringSubmatch(out, -1) {
		a.Stats[m[1]], _ = strconv.Atoi(m[2])
	}
	return a, nil
}

// number returns the first group of pattern in text as a number, else 0.
func number(pattern *regexp.Regexp, text string, base int) uint64 {
	m := pattern.FindStringSubmatch(text)
	if m == nil {
		return 0
	}
	n, _ := strconv.ParseUint(m[1], base, 64)
	return n
}

// Source is what chronyc tells of the only source of a chronyd.
type Source struct {
	Mode   string // of authdata: -, SK or NTS
	Type   int    // of authdata: the algorithm's number
	KeyLen int    // bits
	NAKs   int
	Cookie int // cookies in stock

	State    string // of sources: * is selected
	Reach    uint8
	RX       int  // of ntpdata: packets received
	ValidRX  int  // of them valid: authentic, an answer, no duplicate
	Verified bool // of ntpdata: Authenticated
}

// QueryChronyd asks a chronyd by the chronyc that belongs to it.
func QueryChronyd(h *Host, chronyd Program) (Source, error) {
	ctx, cancel := context.WithTimeout(context.Background(), queryTimeout)
	defer cancel()
	out, err := h.Output(ctx, chronyc(chronyd), "-c", "-n", "-h", h.Path(chronyd, "run/chronyd.sock"), "-m",
		"authdata", "sources", "ntpdata")
	if err != nil {
		return Source{}, err
	}
	lines := strings.Split(strings.TrimSpace(out), "\n")
	if len(lines) != 3 {
		return Source{}, fmt.Errorf("chronyc on %s does not show one source: %q", h.Name, out)
	}
	auth, source, data := strings.Split(lines[0], ","), strings.Split(lines[1], ","), strings.Split(lines[2], ",")
	if len(auth) < 10 || len(source) < 6 || len(data) < 34 {
		return Source{}, fmt.Errorf("chronyc on %s prints other columns: %q", h.Name, out)
	}
	atoi := func(s string) int { n, _ := strconv.Atoi(s); return n }
	reach, _ := strconv.ParseUint(source[5], 8, 8)
	return Source{
		Mode: auth[1], Type: atoi(auth[3]), KeyLen: atoi(auth[4]), NAKs: atoi(auth[7]), Cookie: atoi(auth[8]),
		State: source[1], Reach: uint8(reach),
		Verified: data[27] == "Yes", RX: atoi(data[31]), ValidRX: atoi(data[32]),
	}, nil
}

// Daemon of ntpd-rs: what its observation socket tells of the only source.
type rustSource struct {
	Unanswered int  // polls since the last good one, at most 8
	Cookies    int  // NTS cookies in stock
	Offset     bool // an offset is known
}

var (
	rustUnanswered = regexp.MustCompile(`(?m)^ntp_source_unanswered_polls\{.*\} (\d+)$`)
	rustCookies    = regexp.MustCompile(`(?m)^ntp_source_nts_cookies_available\{.*\} (\d+)$`)
	rustOffset     = regexp.MustCompile(`(?m)^ntp_source_offset_seconds\{.*\} -?\d`)
)

func queryNTPDRS(h *Host) (rustSource, error) {
	ctx, cancel := context.WithTimeout(context.Background(), queryTimeout)
	defer cancel()
	out, err := h.Output(ctx, NTPDRSCtl, "-c", h.Path(NTPDRSCtl, "ntp.toml"), "status", "-f", "prometheus")
	if err != nil {
		return rustSource{}, err
	}
	if !rustUnanswered.MatchString(out) {
		return rustSource{}, fmt.Errorf("ntp-ctl on %s shows no source", h.Name)
	}
	return rustSource{
		Unanswered: int(number(rustUnanswered, out, 10)),
		Cookies:    int(number(rustCookies, out, 10)),
		Offset:     rustOffset.MatchString(out),
	}, nil
}
