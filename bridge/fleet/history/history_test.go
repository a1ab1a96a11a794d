package history

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ntsbridge/bridge/needs"
)

var start = time.Date(2026, 11, 30, 9, 0, 0, 123, time.UTC)

func write(t testing.TB, path string, n int) *File {
	t.Helper()
	f, told, err := Open(path, start)
	if err != nil || len(told) > 0 {
		t.Fatal(told, err)
	}
	for i := range n {
		e := &Entry{Time: start.Add(time.Duration(i) * time.Second), Who: "user 0", What: Began, Group: "fra", Step: uint32(i),
			Why: "<&> \"quoted\"", Evidence: []byte(`{"hurt":["10.0.0.1"]}`)}
		if err := f.Append(e); err != nil {
			t.Fatal(err)
		}
	}
	return f
}

func TestChain(t *testing.T) {
	path := filepath.Join(t.TempDir(), "history.jsonl")
	f := write(t, path, 3)
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	f = write(t, path, 2)
	n := 0
	end, err := f.Read(func(e *Entry) error { n++; return nil })
	if err != nil || n != 5 || end != f.end {
		t.Fatalf("%d entries, %+v, %v", n, end, err)
	}
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	lines := bytes.SplitAfter(good, []byte("\n"))
	for name, text := range map[string][]byte{
		"changed": bytes.Replace(good, []byte("fra"), []byte("muc"), 1),
		"cut out": bytes.Join([][]byte{lines[0], lines[2], lines[3], lines[4]}, nil),
		"swapped": bytes.Join([][]byte{lines[0], lines[2], lines[1], lines[3], lines[4]}, nil),
		"again":   append(bytes.Clone(good), lines[4]...),
		"spaces":  bytes.Replace(good, []byte(`"who":`), []byte(`"who": `), 1),
		"first":   bytes.Join(lines[1:], nil),
		"unknown": bytes.Replace(good, []byte(`"who":`), []byte(`"by":1,"who":`), 1),
	} {
		if _, err := Verify(bytes.NewReader(text), nil); !errors.Is(err, ErrBroken) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := Verify(bytes.NewReader(good[:len(good)-1]), nil); !errors.Is(err, ErrTorn) {
		t.Errorf("torn: %v", err)
	}
}

// A line that was being written when the power went is moved beside, and the
// chain goes on.
func TestTornLine(t *testing.T) {
	path := filepath.Join(t.TempDir(), "history.jsonl")
	write(t, path, 2).Close()
	good, _ := os.ReadFile(path)
	for cut := len(good) - 1; cut > bytes.IndexByte(good, '\n'); cut -= 37 {
		if err := os.WriteFile(path, good[:cut], 0o640); err != nil {
			t.Fatal(err)
		}
		f, told, err := Open(path, start)
		if err != nil || cut > bytes.IndexByte(good, '\n')+1 && len(told) != 1 {
			t.Fatal(cut, told, err)
		}
		if err := f.Append(&Entry{Time: start, Who: "ntsbridge", What: Recovered}); err != nil {
			t.Fatal(err)
		}
		if end, err := f.Read(nil); err != nil || end.Lines != 2 {
			t.Fatalf("%+v %v", end, err)
		}
		f.Close()
	}
}

func TestBrokenIsPutAside(t *testing.T) {
	path := filepath.Join(t.TempDir(), "history.jsonl")
	write(t, path, 2).Close()
	good, _ := os.ReadFile(path)
	if err := os.WriteFile(path, bytes.Replace(good, []byte("fra"), []byte("muc"), 1), 0o640); err != nil {
		t.Fatal(err)
	}
	f, told, err := Open(path, start)
	if err != nil || len(told) != 1 || !strings.Contains(told[0], "broken-20261130T090000") {
		t.Fatal(told, err)
	}
	if f.end.Lines != 0 {
		t.Errorf("%+v", f.end)
	}
	if _, err := os.Stat(path + ".broken-20261130T090000"); err != nil {
		t.Error(err)
	}
}

// A full disk writes nothing, says so, and the next entry is whole again.
func TestFullDisk(t *testing.T) {
	path := filepath.Join(t.TempDir(), "history.jsonl")
	f := write(t, path, 1)
	good := f.file
	full, err := os.OpenFile("/dev/full", os.O_RDWR, 0)
	if err != nil {
		needs.Missing(t, "no /dev/full: %v", err)
	}
	f.file = full
	if err := f.Append(&Entry{Time: start, What: Began}); err == nil {
		t.Error("an entry was written to a full disk")
	}
	f.file = good
	if err := f.Append(&Entry{Time: start, What: Passed}); err != nil {
		t.Fatal(err)
	}
	if end, err := f.Read(nil); err != nil || end.Lines != 2 {
		t.Errorf("%+v, %v", end, err)
	}
}

// FuzzVerify: whatever the octets, no panic; what verifies is what Append
// wrote, and any octet of it that is changed is found.
func FuzzVerify(f *testing.F) {
	path := filepath.Join(f.TempDir(), "history.jsonl")
	write(f, path, 3).Close()
	good, err := os.ReadFile(path)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good, uint(10))
	f.Add(good[:len(good)-5], uint(0))
	f.Add([]byte("{}\n"), uint(1))
	f.Add([]byte(`{"number":1,"time":"2026-11-30T09:00:00Z","who":"","what":"","before":"","hash":""}`+"\n"), uint(1))
	f.Fuzz(func(t *testing.T, text []byte, at uint) {
		end, err := Verify(bytes.NewReader(text), nil)
		if err != nil || end.Octets != int64(len(text)) && err == nil {
			return
		}
		if end.Lines == 0 {
			return
		}
		text = bytes.Clone(text)
		text[at%uint(len(text))] ^= 1
		if _, err := Verify(bytes.NewReader(text), nil); err == nil {
			t.Fatalf("octet %d was changed, and nobody saw", at%uint(len(text)))
		}
	})
}
