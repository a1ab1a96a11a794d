package store

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"
	"pgregory.net/rapid"

	"ntsbridge/bridge/fleet/feed"
	"ntsbridge/bridge/fleet/inventory"
	"ntsbridge/bridge/ntp"
)

var start = time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)

func newInventory(t testing.TB, capacity int) *inventory.Inventory {
	t.Helper()
	v, err := inventory.New(inventory.Options{Capacity: capacity, Seed: [2]uint64{11, 13}})
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func sighting(n uint32, at time.Time, kind ntp.Kind, key uint32) *feed.Sighting {
	var a [4]byte
	binary.BigEndian.PutUint32(a[:], 10<<24|n)
	s := &feed.Sighting{Addr: netip.AddrFrom4(a).As16(), Received: ntp.TimestampFromTime(at), Kind: kind, Key: key, Count: 1,
		Octets: 48, Action: ntp.Answer}
	s.Header[0], s.Header[3] = 4<<3|3, 32
	return s
}

// rows is what an inventory has, row by row.
func rows(v *inventory.Inventory) map[inventory.Key]string {
	m := map[inventory.Key]string{}
	var c inventory.Client
	for i := range v.Places() {
		if v.Read(i, 0, &c) {
			r, _ := v.Record(c.Key, nil)
			m[c.Key] = string(r)
		}
	}
	return m
}

// Whatever is seen, written, folded, compacted, expired and opened again, the
// store gives back what the inventory had when it was last written.
func TestStoreAgainstNaive(t *testing.T) {
	dir := t.TempDir()
	run := 0
	rapid.Check(t, func(t *rapid.T) {
		run++
		path := filepath.Join(dir, fmt.Sprint(run, ".db"))
		defer os.Remove(path)
		fresh := func() *inventory.Inventory {
			v, err := inventory.New(inventory.Options{Capacity: 100, Seed: [2]uint64{11, 13}})
			if err != nil {
				t.Fatal(err)
			}
			return v
		}
		v := fresh()
		s, rep, err := Open(path, v, start)
		if err != nil || !rep.FirstStart {
			t.Fatal(err, rep)
		}
		now := start
		var pending *Changes
		for range rapid.IntRange(1, 30).Draw(t, "steps") {
			now = now.Add(time.Duration(rapid.IntRange(0, 600).Draw(t, "gap")) * time.Second)
			switch rapid.IntRange(0, 6).Draw(t, "step") {
			case 0:
				b := s.Prepare(v)
				if pending != nil { // what was taken out of v is not in its rows twice
					break
				}
				if err := s.Fold(b); err != nil {
					t.Fatal(err)
				}
				// A fold writes rows as they are now.
				for k := range s.journal {
					t.Fatalf("%v is still in the journal", k)
				}
			case 1:
				v.Expire(uint32(now.Add(-time.Hour).Unix()))
			case 2: // dies and starts again
				if err := s.Close(); err != nil {
					t.Fatal(err)
				}
				v, pending = fresh(), nil
				if s, rep, err = Open(path, v, now); err != nil || rep.Damaged != 0 || rep.Lost != 0 {
					t.Fatal(err, rep)
				}
				if _, err := s.Compact(); err != nil {
					t.Fatal(err)
				}
			case 3, 4:
				c := Collect(v)
				c.Join(pending)
				pending = nil
				if rapid.IntRange(0, 4).Draw(t, "fails") == 0 {
					pending = c
					break
				}
				if err := s.Write(c, now); err != nil {
					t.Fatal(err)
				}
			default:
				for range rapid.IntRange(1, 40).Draw(t, "packets") {
					v.See(sighting(rapid.Uint32Range(0, 150).Draw(t, "host"), now, rapid.SampledFrom([]ntp.Kind{0, 1}).Draw(t, "kind"), 1))
				}
			}
		}
		c := Collect(v)
		c.Join(pending)
		if err := s.Write(c, now); err != nil {
			t.Fatal(err)
		}
		written := rows(v)
		s.Close()
		w := fresh()
		if rep, _, err = Read(path, w); err != nil || rep.Damaged != 0 {
			t.Fatal(err, rep)
		}
		if got := rows(w); !maps.Equal(got, written) {
			t.Fatalf("%d rows, want %d, or they differ", len(got), len(written))
		}
	})
}

// TestMain also is the process that is killed: it writes numbered packets until
// then, and says on standard output which number has been written.
func TestMain(m *testing.M) {
	if path := os.Getenv("STORE_WRITER"); path != "" {
		writeUntilKilled(path)
		return
	}
	lockWait = 100 * time.Millisecond
	os.Exit(inMemory(m.Run))
}

// inMemory runs tests with their files in memory where the system has a place for
// that: what they are about is what a process that dies leaves behind, and 1,000
// deaths and as many starts need not wait for a disk.
func inMemory(run func() int) int {
	if dir, err := os.MkdirTemp("/dev/shm", "store"); err == nil {
		defer os.RemoveAll(dir)
		os.Setenv("TMPDIR", dir)
	}
	return run()
}

func writeUntilKilled(path string) {
	v, err := inventory.New(inventory.Options{Capacity: 5000, Seed: [2]uint64{11, 13}})
	if err != nil {
		panic(err)
	}
	s, rep, err := Open(path, v, time.Now())
	if err != nil || rep.PutAside != "" {
		fmt.Println("cannot open:", err, rep)
		os.Exit(1)
	}
	if err := s.Begin(time.Now()); err != nil {
		panic(err)
	}
	n, _ := strconv.Atoi(os.Getenv("STORE_FROM"))
	for {
		for range 50 {
			n++
			v.See(sighting(uint32(n%2000), start.Add(time.Duration(n)*time.Second), ntp.KindSymmetric, 1))
		}
		if err := s.Write(Collect(v), time.Now()); err != nil {
			panic(err)
		}
		fmt.Println(n)
		if n%1000 == 0 {
			if err := s.Fold(s.Prepare(v)); err != nil {
				panic(err)
			}
		}
	}
}

// What was written survives kill -9 at any moment; the next start needs no
// repair.
func TestKills(t *testing.T) {
	kills, lanes := 1000, 8
	if testing.Short() {
		kills = 32
	}
	for lane := range lanes {
		t.Run(fmt.Sprint(lane), func(t *testing.T) {
			t.Parallel()
			k := killed{path: filepath.Join(t.TempDir(), "inventory.db")}
			random := rand.New(rand.NewPCG(1, uint64(lane)))
			for i := range kills / lanes {
				k.once(t, i, time.Duration(random.IntN(40))*time.Millisecond)
			}
			if k.written == 0 {
				t.Fatal("nothing was ever written")
			}
			t.Logf("%d packets written", k.written)
		})
	}
}

// killed is a store whose writer is killed again and again.
type killed struct {
	path    string
	written int // number of the last packet that is said to be written
}

// once starts a writer, kills it after a time and looks for what it has written.
func (k *killed) once(t *testing.T, i int, after time.Duration) {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "STORE_WRITER="+k.path, "STORE_FROM="+strconv.Itoa(k.written))
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	kill := func() { _ = cmd.Process.Kill() }
	last, lines := k.written, bufio.NewReader(out)
	timer := time.AfterFunc(time.Hour, kill)
	if i%2 == 0 { // it may die before it has begun
		timer.Reset(after)
	}
	for {
		line, err := lines.ReadString('\n')
		if err != nil {
			break
		}
		if i%2 != 0 && last == k.written {
			timer.Reset(after)
		}
		if last, err = strconv.Atoi(strings.TrimSpace(line)); err != nil {
			t.Fatalf("start %d: %s", i, line)
		}
	}
	_ = cmd.Wait()
	timer.Stop()
	v := newInventory(t, 5000)
	rep, _, err := Read(k.path, v)
	if errors.Is(err, os.ErrNotExist) {
		return // killed before it had made the file
	}
	if err != nil && last == 0 {
		os.Remove(k.path) // killed while it made the file
		return
	}
	if err != nil || rep.Damaged != 0 {
		t.Fatalf("after kill %d: %v %+v", i, err, rep)
	}
	for n := max(1, last-1999); n <= last; n++ {
		c, ok := v.Find(sighting(uint32(n%2000), start, 0, 0).Address(), 0)
		if want := uint32(start.Add(time.Duration(n) * time.Second).Unix()); !ok || c.Last < want {
			t.Fatalf("after kill %d: packet %d of %d is lost", i, n, last)
		}
	}
	k.written = last
}

// full makes a store with something in it.
func full(t testing.TB, path string) {
	t.Helper()
	v := newInventory(t, 1000)
	s, _, err := Open(path, v, start)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for round := range 3 {
		for n := range uint32(300) {
			v.See(sighting(n, start.Add(time.Duration(round)*time.Minute), ntp.KindSymmetric, 1))
		}
		if err := s.Write(Collect(v), start); err != nil {
			t.Fatal(err)
		}
		if round == 1 {
			if err := s.Fold(s.Prepare(v)); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// A file that is cut, overwritten or no store at all is put aside, or read as far
// as its records are good; it never ends the process.
func TestDamagedStores(t *testing.T) {
	dir := t.TempDir()
	good := filepath.Join(dir, "good.db")
	full(t, good)
	b, err := os.ReadFile(good)
	if err != nil {
		t.Fatal(err)
	}
	random := rand.New(rand.NewPCG(3, 4))
	cases := map[string][]byte{"empty": {}, "text": []byte("hello\n"), "zeros": make([]byte, len(b)), "half": b[:len(b)/2],
		"odd": b[:len(b)-1000], "two pages": b[:8192]}
	noisy := 300
	if testing.Short() {
		noisy = 60
	}
	for i := range noisy {
		c := bytes.Clone(b)
		for range 1 + random.IntN(40) {
			at := random.IntN(len(c))
			n := min(1+random.IntN(64), len(c)-at)
			for j := range n {
				c[at+j] = byte(random.Uint32())
			}
		}
		cases[fmt.Sprint("noise ", i)] = c
	}
	aside, saved, whole := 0, 0, 0
	for name, text := range cases {
		path := filepath.Join(dir, "case.db")
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		v := newInventory(t, 1000)
		s, rep, err := Open(path, v, start)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		switch {
		case rep.PutAside != "":
			aside++
			saved += v.Len()
			if _, err := os.Stat(rep.PutAside); err != nil || rep.Why == "" {
				t.Errorf("%s: %+v, %v", name, rep, err)
			}
			os.Remove(rep.PutAside)
		case v.Len() == 300:
			whole++
		}
		v.See(sighting(7, start, ntp.KindNone, 0))
		if err := s.Write(Collect(v), start); err != nil {
			if rep.PutAside != "" || !errors.Is(err, ErrDamaged) {
				t.Errorf("%s: cannot be written: %v", name, err)
			}
		}
		closeQuietly(s.db)
		if info, err := os.Stat(path); err != nil || info.Size() > 64<<20 {
			t.Errorf("%s: the file has grown to %d octets, %v", name, info.Size(), err)
		}
	}
	t.Logf("%d put aside, with %d of 300 rows saved on average; %d whole", aside, saved/max(aside, 1), whole)
	if aside == 0 {
		t.Error("no file was put aside")
	}
}

func TestNewerSchemaAndSecondProcess(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "inventory.db")
	full(t, path)
	s, _, err := Open(path, newInventory(t, 1000), start)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := Open(path, newInventory(t, 1000), start); !errors.Is(err, ErrInUse) {
		t.Errorf("opened twice: %v", err)
	}
	err = s.db.Update(func(tx *bolt.Tx) error { return tx.Bucket(bucketMeta).Put(keySchema, []byte{Schema + 1}) })
	if err != nil {
		t.Fatal(err)
	}
	s.Close()
	if _, _, err := Open(path, newInventory(t, 1000), start); !errors.Is(err, ErrNewer) {
		t.Errorf("a later schema: %v", err)
	}
}

// Time that nobody watched is told.
func TestGaps(t *testing.T) {
	path := filepath.Join(t.TempDir(), "inventory.db")
	v := newInventory(t, 100)
	for day := range 3 {
		from := start.Add(time.Duration(day) * 24 * time.Hour)
		s, _, err := Open(path, v, from)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Begin(from); err != nil {
			t.Fatal(err)
		}
		if err := s.Write(Collect(v), from.Add(23*time.Hour)); err != nil {
			t.Fatal(err)
		}
		watched, err := s.Watched()
		if err != nil || len(watched) != day+1 {
			t.Fatalf("%v, %v", watched, err)
		}
		if gaps := Gaps(watched, time.Minute); len(gaps) != day {
			t.Errorf("day %d: gaps %v", day, gaps)
		}
		s.Close()
	}
}

func TestCompact(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "inventory.db")
	v := newInventory(t, 60_000)
	s, _, err := Open(path, v, start)
	if err != nil {
		t.Fatal(err)
	}
	for n := range uint32(60_000) {
		v.See(sighting(n, start, ntp.KindSymmetric, 1))
	}
	for range 2 {
		if err := errors.Join(s.Write(Collect(v), start), s.Fold(s.Prepare(v))); err != nil {
			t.Fatal(err)
		}
		v.Expire(uint32(start.Unix()) + 1)
	}
	s.Close()
	before, _ := os.Stat(path)
	w := newInventory(t, 60_000)
	if s, _, err = Open(path, w, start); err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if n, err := s.Compact(); err != nil || n == 0 {
		t.Fatalf("not compacted: %d, %v", n, err)
	}
	after, _ := os.Stat(path)
	if after.Size() > before.Size()/4 {
		t.Errorf("%d octets became %d", before.Size(), after.Size())
	}
	w.See(sighting(1, start, ntp.KindNone, 0))
	if err := s.Write(Collect(w), start); err != nil {
		t.Error(err)
	}
}

func FuzzOpen(f *testing.F) {
	path := filepath.Join(f.TempDir(), "seed.db")
	full(f, path)
	b, err := os.ReadFile(path)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add(b[:len(b)/2])
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > 1<<20 {
			return
		}
		path := filepath.Join(t.TempDir(), "x.db")
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		v := newInventory(t, 1000)
		s, _, err := Open(path, v, start)
		if err != nil {
			t.Fatalf("a damaged file must be put aside: %v", err)
		}
		closeQuietly(s.db)
	})
}
