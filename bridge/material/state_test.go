package material

import (
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ntsbridge/autokey"
	"ntsbridge/bridge/config"
	"ntsbridge/bridge/ntp"
	"ntsbridge/bridge/statedir"
)

// opened opens the state directory of a file.
func opened(t *testing.T, path string) *statedir.Store {
	t.Helper()
	s, err := statedir.Open(filepath.Dir(path), nil)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestSeedsAreKept(t *testing.T) {
	path := filepath.Join(t.TempDir(), "autokey.seed")
	store := opened(t, path)
	first, err := seeds(store, path)
	if err != nil || len(first) != 1 || first[0] == 0 {
		t.Fatalf("%d seeds, %v", len(first), err)
	}
	if err := store.Commit(); err != nil {
		t.Fatal(err)
	}
	if again, err := seeds(opened(t, path), path); err != nil || again[0] != first[0] {
		t.Errorf("another seed after a restart: %v", err)
	}
	if err := os.WriteFile(path, []byte("00000001\n00000002\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if two, err := seeds(opened(t, path), path); err != nil || len(two) != 2 || two[0] != autokey.Seed(1) || two[1] != 2 {
		t.Errorf("seeds of a file with two: %d, %v", len(two), err)
	}
	for name, text := range map[string]string{"empty": "", "not hex": "xyz\n", "short": "0102\n"} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := seeds(opened(t, path), path); err == nil {
			t.Errorf("%s: accepted, which would strand every client", name)
		}
	}
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := seeds(opened(t, path), path); err == nil || !strings.Contains(err.Error(), "chmod 600") {
		t.Errorf("readable by others: %v", err)
	}
}

func TestCookieSecretFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "cookies.secret")
	store := opened(t, path)
	file := CookieFile(&config.Cookies{SecretFile: path, Rotation: time.Hour}, time.Now())
	secret, made, err := cookieSecret(store, file)
	if err != nil || !made || secret.Former() {
		t.Fatalf("made %v, %v", made, err)
	}
	if err := store.Commit(); err != nil {
		t.Fatal(err)
	}
	again, made, err := cookieSecret(opened(t, path), file)
	if err != nil || made || !again.Same(secret) {
		t.Errorf("second look: made %v, %v", made, err)
	}
	for name, text := range map[string]string{"31 octets": hex.EncodeToString(make([]byte, 31)), "no hex": strings.Repeat("x", 64),
		"cut off": string(secret.AppendText(nil))[:200], "empty": ""} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, _, err := cookieSecret(opened(t, path), file); err == nil || !strings.Contains(err.Error(), "restore it from a backup") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := os.WriteFile(path, []byte(hex.EncodeToString(make([]byte, 32))+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if old, _, err := cookieSecret(opened(t, path), file); err != nil || !old.Former() {
		t.Errorf("a file of the former kind: %v", err)
	}
}

func TestLeapValues(t *testing.T) {
	list := "#$ 3676924800\n#@ 3928521600\n2272060800 10 # 1 Jan 1972\n3644697600 36\n3692217600 37 # 1 Jan 2017\n"
	at := func(s string) time.Time {
		when, err := time.Parse(time.DateOnly, s)
		if err != nil {
			t.Fatal(err)
		}
		return when
	}
	got, _, err := LeapValues("list", []byte(list), at("2026-11-21"))
	if want := (autokey.LeapValues{TAIOffset: 37, LastLeap: 3692217600, Expiry: 3694377600}); err != nil || got != want {
		t.Errorf("got %+v %v, want what ntpd sends: %+v", got, err, want)
	}
	got, _, err = LeapValues("list", []byte(list), at("2016-12-01"))
	if want := (autokey.LeapValues{TAIOffset: 36, LastLeap: 3644697600, Expiry: 3692217600 + 7*86400}); err != nil || got != want {
		t.Errorf("before a leap second: %+v %v, want %+v", got, err, want)
	}
	for name, bad := range map[string]string{
		"empty": "", "one column": "3692217600\n", "no numbers": "a b\n",
		"wrong hash": list + "#h 1 2 3 4 5\n",
	} {
		if _, _, err := LeapValues("list", []byte(bad), at("2026-11-21")); err == nil || !strings.Contains(err.Error(), "list") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// FuzzSeeds reads any seed file: what is refused is not shown, since it may be
// a good one but for a letter.
func FuzzSeeds(f *testing.F) {
	f.Add("5eed0001\n")
	f.Add("5eed0001\n00000000\n  DEADBEEF")
	f.Add("5eed0001\n5eed000\n")
	f.Fuzz(func(t *testing.T, text string) {
		list, err := parseSeeds("file", text)
		if err != nil {
			if list != nil || !strings.Contains(err.Error(), "restore the file") || len(err.Error()) > 200 {
				t.Fatalf("%d seeds, %v", len(list), err)
			}
			return
		}
		if len(list) != len(strings.Fields(text)) {
			t.Fatalf("%d seeds of %q", len(list), text)
		}
	})
}

func FuzzLeapValues(f *testing.F) {
	f.Add("#$ 3676924800\n#@ 3928521600\n2272060800 10 # 1 Jan 1972\n3692217600 37\n#h 1 2 3 4 5\n")
	f.Add("3692217600\t37")
	now := time.Date(2026, 11, 21, 0, 0, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, list string) {
		v, _, err := LeapValues("list", []byte(list), now)
		if err == nil && (v.LastLeap == 0 && v.TAIOffset == 0 || v.LastLeap > ntp.TimestampFromTime(now).Seconds()) {
			t.Errorf("%+v from %q", v, list)
		}
	})
}
