package fleet

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"ntsbridge/bridge/needs"

	"github.com/hashicorp/go-hclog"
	bolt "go.etcd.io/bbolt"

	"ntsbridge/bridge/fleet/feed"
	"ntsbridge/bridge/fleet/inventory"
	"ntsbridge/bridge/fleet/report"
	"ntsbridge/bridge/fleet/store"
	"ntsbridge/bridge/ntp"
)

func hostAddr(n uint32) netip.Addr {
	var a [4]byte
	binary.BigEndian.PutUint32(a[:], 10<<24|n)
	return netip.AddrFrom4(a)
}

// request is a chrony-like request of client n.
func request(n uint32, kind ntp.Kind, key uint32, reason ntp.Reason) (*ntp.Request, *ntp.Verdict) {
	p := make([]byte, ntp.HeaderLen)
	p[0], p[2], p[3] = 4<<3|3, 6, 32
	r := &ntp.Request{Packet: p, From: netip.AddrPortFrom(hostAddr(n), 4000), Received: ntp.TimestampFromTime(time.Now())}
	r.Layout.MAC, r.Layout.KeyID = len(p), key
	v := &ntp.Verdict{Kind: kind, Reason: reason, Action: ntp.Answer, KeyID: key}
	if reason != ntp.ReasonOK {
		v.Action = ntp.Drop
	}
	return r, v
}

func open(t testing.TB, cfg Config, log hclog.Logger) *Fleet {
	t.Helper()
	if cfg.Clients == 0 {
		cfg.Clients = 1000
	}
	cfg.Enabled = true
	if log == nil {
		log = hclog.NewNullLogger()
	}
	f, err := Open(cfg, &report.Names{}, log)
	if err != nil {
		t.Fatal(err)
	}
	f.Run()
	return f
}

func note(f *feed.Feed, r *ntp.Request, v *ntp.Verdict) {
	t := f.Begin()
	t.Note(r, v, r.Received, 0)
	f.End(t)
}

func list(t testing.TB, f *Fleet, filter report.Filter) []*report.Row {
	t.Helper()
	var rows []*report.Row
	emit := func(r *report.Row) error { rows = append(rows, r.Clone()); return nil }
	if err := f.Stream(context.Background(), &filter, emit); err != nil {
		t.Fatal(err)
	}
	return rows
}

// What workers note is there when it is asked for, also after the worker's end
// and after a restart.
func TestFromWorkerToReaderAndStore(t *testing.T) {
	cfg := Config{File: filepath.Join(t.TempDir(), StoreFile)}
	f := open(t, cfg, nil)
	a, b := f.Attach(), f.Attach()
	for n := range uint32(50) {
		r, v := request(n, ntp.KindSymmetric, 5, ntp.ReasonOK)
		note(a, r, v)
		r, v = request(n+25, ntp.KindNone, 0, ntp.ReasonOK)
		note(b, r, v)
	}
	f.Detach(b)
	if rows := list(t, f, report.Filter{}); len(rows) != 75 || rows[0].Address != "10.0.0.0" {
		t.Fatalf("%d rows", len(rows))
	}
	if rows := list(t, f, report.Filter{Kinds: []string{"none"}, Limit: 3}); len(rows) != 3 || rows[0].Address != "10.0.0.25" ||
		len(rows[0].Means) != 2 {
		t.Errorf("%+v", rows)
	}
	r, v := request(99, ntp.KindNTS, 0, ntp.ReasonOK)
	note(a, r, v)
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	f = open(t, cfg, nil)
	defer f.Close()
	if rows := list(t, f, report.Filter{}); len(rows) != 76 {
		t.Errorf("%d rows after a restart", len(rows))
	}
	s, err := f.Summary(context.Background(), "label")
	if err != nil || s.Clients != 76 {
		t.Errorf("%+v, %v", s, err)
	}
}

// The store behind the serving path may fail in any way: the inventory goes on in
// memory, says so once, and is whole again when the store works.
func TestStoreThatFails(t *testing.T) {
	for name, spoil := range map[string]func(t *testing.T, dir string) error{
		"a directory in its place": func(t *testing.T, dir string) error { return os.Mkdir(filepath.Join(dir, StoreFile), 0o700) },
		"text in its place": func(t *testing.T, dir string) error {
			return os.WriteFile(filepath.Join(dir, StoreFile), []byte("hello"), 0o600)
		},
		"no directory": func(t *testing.T, dir string) error { return os.RemoveAll(dir) },
		"a store of a later version": func(t *testing.T, dir string) error {
			f := open(t, Config{File: filepath.Join(dir, StoreFile)}, nil)
			if err := f.Close(); err != nil {
				return err
			}
			db, err := bolt.Open(filepath.Join(dir, StoreFile), 0o600, nil)
			if err != nil {
				return err
			}
			defer db.Close()
			return db.Update(func(tx *bolt.Tx) error {
				return tx.Bucket([]byte("meta")).Put([]byte("schema"), []byte{store.Schema + 1})
			})
		},
		"a read-only file system": func(t *testing.T, dir string) error {
			needs.Root(t, "mount a file system")
			if err := syscall.Mount("tmpfs", dir, "tmpfs", syscall.MS_RDONLY, "size=1m"); err != nil {
				return err
			}
			t.Cleanup(func() { _ = syscall.Unmount(dir, 0) })
			return nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "state")
			if err := os.Mkdir(dir, 0o700); err != nil {
				t.Fatal(err)
			}
			if err := spoil(t, dir); err != nil {
				t.Fatal(err)
			}
			var log bytes.Buffer
			f := open(t, Config{File: filepath.Join(dir, StoreFile)}, hclog.New(&hclog.LoggerOptions{Output: &log}))
			d := f.Attach()
			r, v := request(1, ntp.KindSymmetric, 5, ntp.ReasonOK)
			note(d, r, v)
			if rows := list(t, f, report.Filter{}); len(rows) != 1 {
				t.Errorf("%d rows", len(rows))
			}
			if err := f.Close(); err != nil {
				t.Error(err)
			}
			if !strings.Contains(log.String(), "[ERROR] inventory") {
				t.Errorf("nothing was said: %s", log.String())
			}
		})
	}
}

// A disk that fills up: what was seen waits in memory and is written when there
// is room.
func TestDiskFull(t *testing.T) {
	needs.Root(t, "mount a file system")
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=256k"); err != nil {
		needs.Missing(t, "a small file system cannot be mounted: %v", err)
	}
	defer syscall.Unmount(dir, 0)
	var log bytes.Buffer
	cfg := Config{File: filepath.Join(dir, StoreFile), Clients: 20_000}
	f := open(t, cfg, hclog.New(&hclog.LoggerOptions{Output: &log}))
	d := f.Attach()
	if err := os.WriteFile(filepath.Join(dir, "filler"), make([]byte, 160<<10), 0o600); err != nil {
		t.Fatal(err)
	}
	for n := range uint32(3000) {
		r, v := request(n, ntp.KindSymmetric, 5, ntp.ReasonOK)
		note(d, r, v)
		if n%1000 == 999 {
			f.Drain() // a ring that nobody reads holds some 2000
		}
	}
	f.writeOnce(time.Now(), false)
	if !strings.Contains(log.String(), "cannot be written") {
		t.Fatalf("nothing was said: %s", log.String())
	}
	if rows := list(t, f, report.Filter{}); len(rows) != 3000 {
		t.Errorf("%d rows while the disk is full", len(rows))
	}
	if err := syscall.Mount("tmpfs", dir, "tmpfs", syscall.MS_REMOUNT, "size=64m"); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	f = open(t, cfg, nil)
	defer f.Close()
	if rows := list(t, f, report.Filter{}); len(rows) != 3000 {
		t.Errorf("%d rows after the disk had room again", len(rows))
	}
}

// A refused client is logged once per reason and hour, with what to do; a crowd
// of them is bounded.
func TestRefusalsAreLogged(t *testing.T) {
	var log bytes.Buffer
	f := open(t, Config{}, hclog.New(&hclog.LoggerOptions{Output: &log, Level: hclog.Info}))
	d := f.Attach()
	for range 100 {
		for n := range uint32(3) {
			r, v := request(n, ntp.KindSymmetric, 77, ntp.ReasonUnknownKey)
			note(d, r, v)
			r, v = request(n, ntp.KindSymmetric, 5, ntp.ReasonBadMAC)
			note(d, r, v)
		}
		f.Drain()
	}
	text := log.String()
	if n := strings.Count(text, "client refused"); n != 6 {
		t.Errorf("%d lines, want 6:\n%s", n, text)
	}
	for _, want := range []string{"client=10.0.0.1", "key=77", "reason=unknown-key", "keys.trusted", "reason=bad-mac"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %s:\n%s", want, text)
		}
	}
	log.Reset()
	for n := range uint32(2000) {
		r, v := request(100+n, ntp.KindNone, 0, ntp.ReasonDenied)
		note(d, r, v)
	}
	f.Close()
	if n := strings.Count(log.String(), "client refused"); n > perMinute {
		t.Errorf("%d lines for a crowd", n)
	}
}

// What an ASSOC message told waits for the row that its packet makes.
func TestNameBeforeItsRow(t *testing.T) {
	f := open(t, Config{}, nil)
	defer f.Close()
	d := f.Attach()
	r, v := request(1, ntp.KindAutokey, 0, ntp.ReasonOK)
	f.Autokey(inventory.Autokey{Addr: hostAddr(1).As16(), At: r.Received, Host: "tick"})
	f.Drain()
	note(d, r, v)
	f.Drain()
	if rows := list(t, f, report.Filter{}); len(rows) != 1 || len(rows[0].Names) != 1 || rows[0].Names[0] != "tick" {
		t.Errorf("%+v", rows)
	}
	for n := range 3 * maxNotes { // nor are there more than may wait
		f.Autokey(inventory.Autokey{Addr: hostAddr(uint32(100 + n)).As16(), At: r.Received, Host: "stranger"})
		if n%1000 == 0 {
			f.Drain()
		}
	}
	f.Drain()
	f.notes.mu.Lock()
	defer f.notes.mu.Unlock()
	if n := len(f.notes.autokey); n != maxNotes {
		t.Errorf("%d notes wait, want %d", n, maxNotes)
	}
}

// There is something to be done about each refusal.
func TestEveryReasonHasARemedy(t *testing.T) {
	for r := ntp.ReasonOK + 1; r < ntp.ReasonCount; r++ {
		if remedies[r] == "" {
			t.Errorf("none for %v", r)
		}
	}
}

// An hour later the same refusal is news again.
func TestRefusalIsLoggedEachHour(t *testing.T) {
	var log bytes.Buffer
	l := newRefusalLog(hclog.New(&hclog.LoggerOptions{Output: &log}), inventory.Addresses{})
	now := time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)
	for minute := range 3*60 + 1 {
		at := now.Add(time.Duration(minute) * time.Minute)
		l.note(&feed.Sighting{Addr: hostAddr(1).As16(), Received: ntp.TimestampFromTime(at), Reason: ntp.ReasonDenied})
		l.flush(at)
	}
	if n := strings.Count(log.String(), "client refused"); n != 4 {
		t.Errorf("%d lines in three hours and a minute, want 4:\n%s", n, log.String())
	}
}

// Of an address no more is logged than is kept, and what cannot be told apart is
// one client.
func TestRefusalsKeepAddressesPrivate(t *testing.T) {
	for want, kept := range map[string]inventory.Addresses{
		"client=10.0.0.0/24 ": {Shorten4: 24},
		"client=hash:":        {HashKey: []byte("key")},
	} {
		var log bytes.Buffer
		f := open(t, Config{Addresses: kept}, hclog.New(&hclog.LoggerOptions{Output: &log}))
		d := f.Attach()
		for n := range uint32(5) {
			r, v := request(n, ntp.KindNone, 0, ntp.ReasonDenied)
			note(d, r, v)
		}
		f.Close()
		text, lines := log.String(), 5
		if kept.Shorten4 > 0 {
			lines = 1
		}
		if strings.Count(text, want) != lines || strings.Contains(text, "10.0.0.1") {
			t.Errorf("want %d times %q and no address:\n%s", lines, want, text)
		}
	}
}

// Host names come from DNS only for who asks for them, once for each address, and
// not for longer than an answer may take.
func TestNamesOnlyWhenAsked(t *testing.T) {
	f := open(t, Config{}, nil)
	defer f.Close()
	asked := map[string]int{}
	ask, known := dns.ask, dns.known
	defer func() { dns.ask, dns.known = ask, known }()
	dns.known = map[netip.Addr]resolved{}
	dns.ask = func(_ context.Context, addr string) ([]string, error) {
		asked[addr]++
		if addr == "10.0.0.2" {
			return nil, errors.New("no such host")
		}
		return []string{"host.example.net."}, nil
	}
	d := f.Attach()
	for n := range uint32(3) {
		r, v := request(n, ntp.KindNone, 0, ntp.ReasonOK)
		note(d, r, v)
	}
	for range 3 {
		if rows := list(t, f, report.Filter{}); len(rows) != 3 || len(rows[0].Names) != 0 || len(asked) != 0 {
			t.Fatalf("%+v without a question for names; asked for %v", rows, asked)
		}
	}
	for range 3 {
		rows := list(t, f, report.Filter{Resolve: true})
		if got := rows[0].Names; len(got) != 1 || got[0] != "host.example.net" || len(rows[2].Names) != 0 {
			t.Errorf("names %q and %q", got, rows[2].Names)
		}
	}
	if len(asked) != 3 || asked["10.0.0.0"] != 1 || asked["10.0.0.2"] != 1 {
		t.Errorf("asked for %v", asked)
	}
	dns.lookup(t.Context(), netip.MustParseAddr("192.0.2.99"), time.Now().Add(-time.Second))
	if len(asked) != 3 {
		t.Error("asked when the time for the answer was over")
	}
}

// Off means off.
func TestOff(t *testing.T) {
	path := filepath.Join(t.TempDir(), StoreFile)
	f, err := Open(Config{Clients: 100, File: path}, &report.Names{}, hclog.NewNullLogger())
	if err != nil {
		t.Fatal(err)
	}
	f.Run()
	if f.Attach() != nil {
		t.Error("a feed")
	}
	f.Handshake(inventory.Handshake{Addr: hostAddr(1).As16()})
	if err := f.Close(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(path); err == nil {
		t.Error("a store was made")
	}
}

// BenchmarkMillion feeds a million clients and asks for those that are not yet
// moved: octets of memory per client, nanoseconds per packet, and seconds until
// the whole answer is written.
func BenchmarkMillion(b *testing.B) {
	const clients = 1_000_000
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	v, err := inventory.New(inventory.Options{Capacity: clients, Seed: [2]uint64{1, 2}})
	if err != nil {
		b.Fatal(err)
	}
	f := &Fleet{now: time.Now, inventory: v, refusals: newRefusalLog(hclog.NewNullLogger(), inventory.Addresses{})}
	f.names.Store(&report.Names{Digest: func(uint32) string { return "SHA1" },
		AEAD: func(uint16) string { return "AEAD_AES_SIV_CMAC_256" }})
	var s feed.Sighting
	see := func(n uint32, at time.Time) {
		kind, key := ntp.KindNTS, uint32(15)
		if n%10 < 3 {
			kind, key = ntp.KindSymmetric, 5
		}
		s = feed.Sighting{Addr: hostAddr(n).As16(), Received: ntp.TimestampFromTime(at), Sent: ntp.TimestampFromTime(at),
			Kind: kind, Key: key, Count: 1,
			Octets: 68, Port: uint16(n), Action: ntp.Answer}
		s.Header[0], s.Header[2], s.Header[3] = 4<<3|3, 6, 32
		v.See(&s)
	}
	now := time.Now()
	begin := cpu()
	const rounds = 4
	for round := range rounds {
		for n := range uint32(clients) {
			see(uint32(uint64(n)*7919%clients), now.Add(time.Duration(round-rounds)*64*time.Second))
		}
	}
	perPacket := float64(cpu()-begin) / float64(rounds*clients)
	runtime.GC()
	runtime.ReadMemStats(&after)
	perClient := float64(after.HeapAlloc-before.HeapAlloc) / clients
	if v.Len() != clients {
		b.Fatalf("%d clients", v.Len())
	}
	for b.Loop() {
		wall := time.Now()
		begin := cpu()
		out, _ := report.NewWriter(discard{}, "json", now)
		if err := f.Stream(context.Background(), &report.Filter{LegacyOnly: true}, out.Row); err != nil {
			b.Fatal(err)
		}
		if out.Count() != 300_000 {
			b.Fatalf("%d legacy clients", out.Count())
		}
		b.ReportMetric((cpu() - begin).Seconds(), "cpu-s/legacy-only")
		b.ReportMetric(time.Since(wall).Seconds(), "s/legacy-only")
	}
	b.ReportMetric(perPacket, "ns/packet")
	b.ReportMetric(perClient, "octets/client")
}

type discard struct{}

func (discard) Write(p []byte) (int, error) { return len(p), nil }

// cpu is the processor time of this process.
func cpu() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(fmt.Sprint(err))
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
