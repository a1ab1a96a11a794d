package interop

import (
	"context"
	"encoding/asn1"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ntsbridge/autokey/keyfile"
)

// clientLimit is for ntsbridge to measure a real server: the server needs some
// ten seconds to synchronise itself.
const clientLimit = 100 * time.Second

// queryReport is what ntsbridge query --json prints for one server, as far as
// the tests read it.
type queryReport struct {
	Error       string   `json:"error"`
	Cause       string   `json:"cause"`
	Explanation string   `json:"explanation"`
	Warnings    []string `json:"warnings"`
	Offset      *float64 `json:"offset"`
	Delay       *float64 `json:"delay"`
	Samples     []any    `json:"samples"`
	AEAD        string   `json:"aead"`
	Autokey     *struct {
		Host, Flags, Scheme, Identity, Warning string
		Trail, Certificates                    []string
		TAI, Restarts                          int
	} `json:"autokey"`
}

// queryOn runs ntsbridge query on a host for at most limit.
func queryOn(h *Host, limit time.Duration, args ...string) (queryReport, error) {
	file, err := build()
	if err != nil {
		return queryReport{}, permanent{err}
	}
	ctx, cancel := context.WithTimeout(context.Background(), limit+20*time.Second)
	defer cancel()
	args = append([]string{"query", "--json", "--interval", "500ms", "--timeout", limit.String()}, args...)
	out, runErr := h.Output(ctx, Program{Path: file}, args...)
	var reports []queryReport
	if err := json.Unmarshal([]byte(out), &reports); err != nil || len(reports) != 1 {
		return queryReport{}, fmt.Errorf("ntsbridge query: %v: %q", runErr, out)
	}
	return reports[0], nil
}

// measured is the condition that ntsbridge on h measures a server, once, and
// that check finds nothing wrong with its report.
func measured(name string, h *Host, check func(queryReport) error, args ...string) Condition {
	var done bool
	return Condition{name, func() error {
		if done {
			return nil
		}
		r, err := queryOn(h, clientLimit, args...)
		if err != nil {
			return err
		}
		if r.Offset == nil || *r.Offset > 0.1 || *r.Offset < -0.1 || *r.Delay > 1 {
			return permanent{fmt.Errorf("%+v: no sample, or not the time of this machine", r)}
		}
		if check != nil {
			if err := check(r); err != nil {
				return permanent{fmt.Errorf("%w: %+v %+v", err, r, r.Autokey)}
			}
		}
		done = true
		return nil
	}}
}

// withFlags wants the flags that ntpq shows for an ntpd 4.2.8p15 in the same
// place.
func withFlags(flags, identity string, certificates ...string) func(queryReport) error {
	return func(r queryReport) error {
		switch {
		case r.Error != "":
			return fmt.Errorf("failed: %s", r.Error)
		case r.Autokey == nil || r.Autokey.Flags != flags || r.Autokey.Identity != identity:
			return fmt.Errorf("want flags %s, identity %s", flags, identity)
		case len(certificates) > 0 && strings.Join(r.Autokey.Certificates, ", ") != strings.Join(certificates, ", "):
			return fmt.Errorf("want certificates %q", certificates)
		}
		return nil
	}
}

// autokeyArgs are the flags of query for the files in the folder autokey of h.
func autokeyArgs(h *Host, host, password string, more ...string) []string {
	h.Write("query-password", password+"\n")
	return append([]string{
		"--auth", "autokey", "--sign", "--samples", "3", "--keysdir", filepath.Join(h.Dir, "autokey"),
		"--host", host, "--password-file", filepath.Join(h.Dir, "query-password"),
	}, more...)
}

// classicServer starts a real ntpd whose Autokey files are in the folder
// autokey of h.
func classicServer(h *Host, more string) *Daemon {
	h.t.Helper()
	h.Write("drift", "0.000\n")
	h.Write("keys", ntpKeys)
	h.Write("ntp.conf", fmt.Sprintf(`server 127.127.1.0 prefer minpoll 3 maxpoll 3 iburst
fudge 127.127.1.0 stratum 3
keys /mnt/keys
trustedkey 1 2 3
keysdir /mnt/autokey
crypto pw %s
%s%s`, serverPassword, more, ntpdConf))
	return h.Start("ntpd", NTPD, "-n", "-g", "-c", "/mnt/ntp.conf")
}

// rearrangedGQ makes the files of a GQ group that ntpd 4.2.8p15 works with,
// from the one that ntp-keygen made on the server, which it misreads: u and b
// in the places of the exponents; for clients twice b.
func rearrangedGQ(server *Host, ident string) (client string) {
	server.t.Helper()
	path := filepath.Join(server.Dir, "autokey", "ntpkey_gqkey_"+server.Name)
	data, err := os.ReadFile(path)
	if err != nil {
		server.t.Fatal(err)
	}
	file, err := keyfile.ReadKey(data, serverPassword)
	if err != nil {
		server.t.Fatal(err)
	}
	key, err := file.GQKey()
	if err != nil {
		server.t.Fatal(err)
	}
	one := big.NewInt(1)
	form := func(name string, values ...*big.Int) string {
		der, err := asn1.Marshal(append([]*big.Int{big.NewInt(0)}, values...))
		if err != nil {
			server.t.Fatal(err)
		}
		return fmt.Sprintf("# %s.%d\n# rearranged\n\n%s", name, file.Filestamp,
			pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: der}))
	}
	if err := os.Remove(path); err != nil {
		server.t.Fatal(err)
	}
	server.Write("autokey/ntpkey_gqkey_"+server.Name, form("ntpkey_gqkey_"+server.Name, key.N, key.U, key.B, key.U, key.Public(), one,
		one, one))
	return form("ntpkey_gqpar_"+ident, key.N, key.B, key.B, one, one, one, one, one)
}

// mvFiles are the group files of a recorded MV group, server and client 1,
// made of the values that only ntp-keygen -d prints.
func mvFiles(t testing.TB) (server, client string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(repository(), "autokey", "testdata", "sessions", "mv-b256-n5.txtar"))
	if err != nil {
		t.Fatal(err)
	}
	part := func(name string) string {
		_, rest, ok := strings.Cut(string(text), "-- "+name+" --\n")
		if !ok {
			t.Fatalf("no %s", name)
		}
		body, _, _ := strings.Cut(rest, "\n-- ")
		return body + "\n"
	}
	return part("server/ntpkey_mvkey_tick"), part("client/ntpkey_mvpar_tick")
}

// TestClientOfNTPD lets ntsbridge measure real ntpds by every identity scheme
// of Autokey, over IPv4 and IPv6, over a trail of two servers, and with a
// symmetric key. It must come to the flags that ntpd shows.
func TestClientOfNTPD(t *testing.T) {
	t.Parallel()
	n := NewNetwork(t)
	host := map[string]*Host{}
	for _, name := range []string{"tick", "pc", "gq", "mv", "mid", "client", "client-pc", "grouped"} {
		host[name] = n.Host(name)
	}
	n.Names()
	tick, pc, gq, mv, mid, client := host["tick"], host["pc"], host["gq"], host["mv"], host["mid"], host["client"]

	iff := autokeyServer(tick)
	keygen(pc, "-p", serverPassword, "-P")
	keygen(gq, "-p", serverPassword, "-T", "-G", "-b", "512")
	keygen(mv, "-p", serverPassword, "-T")
	keygen(mid, "-p", serverPassword)
	keygen(host["grouped"], "-p", serverPassword, "-T", "-s", "@grp")
	keygen(client, "-p", clientPassword)
	mvServer, mvClient := mvFiles(t)
	mv.Write("autokey/ntpkey_mvkey_mv", mvServer)
	client.Write("autokey/ntpkey_mvpar_mvgroup", mvClient)
	client.Write("autokey/ntpkey_gqpar_gqgroup", rearrangedGQ(gq, "gqgroup"))
	client.Write("autokey/ntpkey_iffpar_iffgroup", iff.File("iffgroup"))
	stranger := iff
	stranger.V = new(big.Int).Exp(iff.G, big.NewInt(2), iff.P)
	client.Write("autokey/ntpkey_iffpar_stranger", stranger.File("stranger"))
	if err := os.CopyFS(filepath.Join(host["client-pc"].Dir, "autokey"), os.DirFS(filepath.Join(pc.Dir, "autokey"))); err != nil {
		t.Fatal(err)
	}
	client.Write("keys", ntpKeys)
	client.Write("wrong-keys", wrongNTPKeys)

	classicServer(tick, "")
	classicServer(pc, "")
	classicServer(gq, "")
	classicServer(mv, "")
	classicServer(host["grouped"], "")
	mid.Write("drift", "0.000\n")
	mid.Write("ntp.conf", fmt.Sprintf("server tick autokey iburst minpoll 3 maxpoll 3\nkeysdir /mnt/autokey\ncrypto pw %s\n%s",
		serverPassword, ntpdConf))
	mid.Start("ntpd", NTPD, "-n", "-g", "-c", "/mnt/ntp.conf")

	args := func(more ...string) []string { return autokeyArgs(client, "client", clientPassword, more...) }
	key := func(file string, id int) []string {
		return []string{"--auth", "key", "--keys", filepath.Join(client.Dir, file), "--key-id", fmt.Sprint(id)}
	}
	// Before a server is synchronised its flags lack one.
	var synchronised []Condition
	for _, name := range []string{"tick", "pc", "gq", "mv", "grouped", "mid"} {
		synchronised = append(synchronised, measured(name+" without authentication", client, nil, "--samples", "1", name))
	}
	Await(t, clientLimit, synchronised...)
	own := []string{"client tick 0x4", "tick tick 0x5", "client client 0x0"}
	Await(t, clientLimit+30*time.Second,
		measured("TC", client, withFlags("0x87f23", "TC", own...), args("tick")...),
		measured("TC with a key for this query alone", client, withFlags("0x87f23", "TC"), "--auth", "autokey", "--sign", "tick"),
		measured("IFF", client, withFlags("0x87f23", "group", own...), args("--ident", "iffgroup", "tick")...),
		measured("IFF over IPv6", client, withFlags("0x87f23", "group"), args("--ident", "iffgroup", tick.IPv6.String())...),
		measured("GQ", client, withFlags("0x87f43", "group"), args("--ident", "gqgroup", "gq")...),
		measured("MV", client, withFlags("0x87f83", "group"), args("--ident", "mvgroup", "mv")...),
		measured("MV over IPv6", client, withFlags("0x87f83", "group"), args("--ident", "mvgroup", mv.IPv6.String())...),
		measured("PC", host["client-pc"], withFlags("0x87f13", "PC"), autokeyArgs(host["client-pc"], "pc", serverPassword, "pc")...),
		measured("trail", client, withFlags("0x87f03", "TC", "client mid 0x4", "tick tick 0x5", "mid tick 0x6", "client client 0x0"),
			args("mid")...),
		measured("MD5 key", client, nil, append(key("keys", 1), "tick")...),
		measured("CMAC key over IPv6", client, nil, append(key("keys", 3), tick.IPv6.String())...),
		fails("stranger's group", client, "does not have the key of group", args("--ident", "stranger", "tick")...),
		fails("no matching scheme", client, "no group file", args("--ident", "gqgroup", "tick")...),
		fails("no scheme", client, "offers no identity scheme", args("--ident", "iffgroup", "mid")...),
		fails("private certificate", client, "private certificate", args("pc")...),
		fails("other digest", client, "crypto-NAK", args("--digest", "SHA1", "tick")...),
		fails("client without group", client, "is in a group", args("grouped")...),
		fails("wrong key", client, "crypto-NAK", append(key("wrong-keys", 1), "tick")...),
		fails("nobody there", client, "no NTP server on that port", "--port", "124", "tick"),
	)
}

// fails is the condition that a query fails with a cause that has these words.
func fails(name string, h *Host, words string, args ...string) Condition {
	return Condition{name, func() error {
		r, err := queryOn(h, 10*time.Second, args...)
		if err != nil {
			return err
		}
		if r.Error == "" {
			return permanent{fmt.Errorf("it does not fail: %+v", r)}
		}
		if !strings.Contains(r.Error, words) {
			return fmt.Errorf("it fails by %q, want %q", r.Error, words)
		}
		return nil
	}}
}
