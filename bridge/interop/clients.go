package interop

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Client is a running daemon that has one server.
type Client struct {
	*Daemon
	// Good returns nil when the server is reached and its authentication is
	// good, by the client's own account.
	Good func() error
}

// Condition is the one that c.Good holds.
func (c *Client) Condition() Condition {
	return Condition{c.Host.Name, func() error {
		if err := c.Alive(); err != nil {
			return err
		}
		return c.Good()
	}}
}

// ntpdConf is common to all classic ntpd clients: poll every 8 s, one source
// suffices, and the queries of ntpq are answered.
const ntpdConf = `tos mindist 0.1 maxdist 16
disable kernel
restrict default
driftfile /mnt/drift
`

// ntpdClient starts a classic ntpd with one server; options are those of the
// server line.
func ntpdClient(h *Host, server, options, more string) *Client {
	h.t.Helper()
	h.Write("drift", "0.000\n") // known, so that the first sample synchronises
	h.Write("ntp.conf", fmt.Sprintf("server %s iburst minpoll 3 maxpoll 3 %s\n%s%s", server, options, ntpdConf, more))
	c := &Client{Daemon: h.Start("ntpd", NTPD, "-n", "-g", "-c", "/mnt/ntp.conf")}
	c.Good = func() error { return associationGood(h, "none", 0) }
	return c
}

// ntpdKeyClient is a classic ntpd with a symmetric key.
func ntpdKeyClient(h *Host, server string, key int, keys string) *Client {
	h.t.Helper()
	h.Write("keys", keys)
	c := ntpdClient(h, server, fmt.Sprintf("key %d", key), "keys /mnt/keys\ntrustedkey 1 2 3\n")
	c.Good = func() error { return associationGood(h, "ok", 0) }
	return c
}

// Flags that an Autokey client must reach. LEAP is not asked for: it comes
// long after the client is synchronised.
const (
	flagsTC  = FlagCERT | FlagVRFY | FlagPROV | FlagCOOK | FlagAUTO | FlagSIGN
	flagsIFF = flagsTC | FlagIFF
)

// ntpdAutokeyClient is a classic ntpd with Autokey: IFF if group is given,
// which is the file of the group that the server's host name names, else TC.
func ntpdAutokeyClient(h *Host, server, ident, group string) *Client {
	h.t.Helper()
	keygen(h, "-p", clientPassword)
	options, flags := "autokey", uint32(flagsTC)
	if group != "" {
		h.Write("autokey/ntpkey_iffpar_"+ident, group)
		options, flags = "autokey ident "+ident, flagsIFF
	}
	c := ntpdClient(h, server, options, "keysdir /mnt/autokey\ncrypto pw "+clientPassword+"\n")
	c.Good = func() error { return associationGood(h, "ok", flags) }
	return c
}

// associationGood asks h's ntpd whether it reaches its server and shows the
// given authentication and at least the given Autokey flags.
func associationGood(h *Host, auth string, flags uint32) error {
	a, err := QueryNTPD(h)
	if err != nil {
		return err
	}
	if a.Auth != auth || a.Reach == 0 || a.Flags&flags != flags {
		return fmt.Errorf("auth %s, want %s; reach %o; flags %#x, want at least %#x; %v", a.Auth, auth, a.Reach, a.Flags, flags, a.Stats)
	}
	return nil
}

// ntpsecClient starts ntpsec's ntpd with one server; options are those of the
// server line. cookies says whether it must have NTS cookies.
func ntpsecClient(h *Host, server, options string) *Client {
	h.t.Helper()
	h.Write("drift", "0.000\n")
	h.Write("keys", ntpsecKeys)
	h.Write("ntp.conf", fmt.Sprintf(`server %s iburst minpoll 3 maxpoll 3 %s
tos mindist 0.1 minclock 1 minsane 1 maxdist 16
disable kernel
restrict 127.0.0.1
driftfile /mnt/drift
keys /mnt/keys
trustedkey 1 2 3
`, server, options))
	c := &Client{Daemon: h.Start("ntpsec", NTPsecNTPD, "-n", "-g", "-c", "/mnt/ntp.conf")}
	c.Good = func() error { return associationGood(h, "ok", 0) }
	return c
}

// chronyClient starts a chronyd with one server; options are those of the
// server line, more further lines.
func chronyClient(h *Host, chronyd Program, server, options string, more ...string) *Client {
	h.t.Helper()
	if err := os.MkdirAll(filepath.Join(h.Dir, "run"), 0o700); err != nil {
		h.t.Fatal(err)
	}
	h.Write("keys", chronyKeys)
	h.Write("chrony.conf", fmt.Sprintf(`server %s iburst minpoll -1 maxpoll 0 %s
keyfile /mnt/keys
bindcmdaddress /mnt/run/chronyd.sock
pidfile /mnt/run/chronyd.pid
cmdport 0
maxdistance 16
%s
`, server, options, strings.Join(more, "\n")))
	c := &Client{Daemon: h.Start("chronyd", chronyd, "-d", "-x", "-u", "root", "-f", "/mnt/chrony.conf")}
	c.Good = func() error { return sourceGood(h, chronyd, "-", 0, 0) }
	return c
}

// chronyKeyClient is a chronyd with a symmetric key.
func chronyKeyClient(h *Host, chronyd Program, server string, key int, more ...string) *Client {
	h.t.Helper()
	c := chronyClient(h, chronyd, server, strings.Join(append(more, fmt.Sprintf("key %d", key)), " "))
	c.Good = func() error { return sourceGood(h, chronyd, "SK", 0, 0) }
	return c
}

// chronyNTSClient is a chronyd with NTS that must come to the given AEAD
// algorithm, of keys of the given length in bits.
func chronyNTSClient(h *Host, chronyd Program, server, ca string, aead, bits int, more ...string) *Client {
	h.t.Helper()
	h.Write("ca.pem", ca)
	c := chronyClient(h, chronyd, server, "nts", append(more, "ntstrustedcerts /mnt/ca.pem")...)
	c.Good = func() error { return sourceGood(h, chronyd, "NTS", aead, bits) }
	return c
}

// sourceGood asks h's chronyd whether it reaches its server and shows the
// given authentication; type and key length count with NTS only.
func sourceGood(h *Host, chronyd Program, mode string, aead, bits int) error {
	s, err := QueryChronyd(h, chronyd)
	if err != nil {
		return err
	}
	good := s.Mode == mode && s.Reach != 0 && s.ValidRX > 0 && s.State == "*" && s.Verified == (mode != "-")
	if mode == "NTS" {
		good = good && s.Type == aead && s.KeyLen == bits && s.Cookie == 8 && s.NAKs == 0
	}
	if !good {
		return fmt.Errorf("%+v, want mode %s (type %d, %d bits, 8 cookies), selected", s, mode, aead, bits)
	}
	return nil
}

// ntpdrsClient starts an ntpd-rs with NTS.
func ntpdrsClient(h *Host, server, ca string) *Client {
	h.t.Helper()
	h.Write("ca.pem", ca)
	h.Write("ntp.toml", fmt.Sprintf(`[observability]
log-level = "info"
observation-path = "/mnt/observe"
[[source]]
mode = "nts"
address = %q
certificate-authority = "/mnt/ca.pem"
[source-defaults]
poll-interval-limits = { min = 2, max = 3 }
initial-poll-interval = 2
[synchronization]
minimum-agreeing-sources = 1
`, server))
	c := &Client{Daemon: h.Start("ntp-daemon", NTPDRS, "-c", "/mnt/ntp.toml")}
	c.Good = func() error {
		s, err := queryNTPDRS(h)
		if err == nil && (s.Unanswered != 0 || !s.Offset || s.Cookies < 7) {
			err = fmt.Errorf("%+v, want answers and at least 7 cookies", s)
		}
		return err
	}
	return c
}

// ntpsecNTSClient is ntpsec's ntpd with NTS.
func ntpsecNTSClient(h *Host, server, ca string) *Client {
	h.t.Helper()
	h.Write("ca.pem", ca)
	return ntpsecClient(h, server, "nts ca /mnt/ca.pem")
}

// openntpdClient is an openntpd; whether it is served it tells nobody but its log,
// so that running is all that is asked of it.
func openntpdClient(h *Host, server string) *Client {
	h.t.Helper()
	h.Write("openntpd.conf", "server "+server+"\n")
	c := &Client{Daemon: h.Start("openntpd", OpenNTPD, "-d", "-v", "-f", "/mnt/openntpd.conf")}
	c.Good = func() error { return nil }
	return c
}

// timesyncdClient is a systemd-timesyncd; as openntpdClient, it tells its log alone.
func timesyncdClient(h *Host, server string) *Client {
	h.t.Helper()
	err := h.inside(func() error {
		drop := filepath.Join(h.peers.root(Timesyncd.Root), "run/systemd/timesyncd.conf.d")
		if err := os.MkdirAll(drop, 0o755); err != nil {
			return err
		}
		settings := "[Time]\nNTP=" + server + "\nFallbackNTP=\nPollIntervalMinSec=16\n"
		return os.WriteFile(filepath.Join(drop, "test.conf"), []byte(settings), 0o644)
	}, "mnt")
	if err != nil {
		h.t.Fatal(err)
	}
	if err := os.Chmod(h.Dir, 0o755); err != nil { // it is its working directory
		h.t.Fatal(err)
	}
	c := &Client{}
	c.Daemon = h.Start("systemd-timesyncd", Timesyncd)
	c.Good = func() error {
		if !strings.Contains(c.Log(), "Contacted time server ") && !strings.Contains(c.Log(), "Initial clock synchronization") {
			return errors.New("no such line in its log")
		}
		return nil
	}
	return c
}
