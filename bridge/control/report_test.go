package control

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ntsbridge/bridge/ntp"
)

// TestNamesEndAsInChronyc compares with chronyc where it resolved names of
// several lengths itself.
func TestNamesEndAsInChronyc(t *testing.T) {
	w := world{tracking: Tracking{ReferenceID: 0xC0000203, Stratum: 3, SystemOffset: coarse(6.523e-6), LastOffset: coarse(6.747e-6),
		RMSOffset: coarse(35.822e-6),
		Frequency: coarse(3.225), Residual: coarse(0.0004), Skew: coarse(0.129), RootDelay: coarse(0.013639022),
		RootDispersion: coarse(0.001100737), UpdateInterval: coarse(64.2)}}
	one := 1.0
	const letters = "abcdefghijklmnopqrstuvwxyz0123456789"
	for i, n := range []int{19, 20, 21, 22, 23, 24, 26, 36} {
		name, address := letters[:n]+".org", fmt.Sprintf("192.0.2.%d", i+1)
		if i == 2 {
			w.tracking.ReferenceName, w.tracking.ReferenceAddress = name, address
		}
		w.sources = append(w.sources, Source{Mode: ModeServer, State: StateSelected, Name: name, Address: address, Stratum: 1, Poll: 6,
			Reach: 0o377, LastRx: 3})
		w.stats = append(w.stats, SourceStats{Name: name, Address: address, Samples: 1, Runs: 1, Span: 1})
		w.auth = append(w.auth, AuthData{Name: name, Address: address, Last: -1})
		w.selects = append(w.selects, SelectData{State: "*", Name: name, Address: address, Authenticated: true, LastRx: 3, Score: &one})
	}
	seen := readSessions(t, "trimmed")
	for _, command := range []string{"sources", "sourcestats", "authdata", "selectdata"} {
		var got strings.Builder
		if err := w.write(&got, []string{command}); err != nil {
			t.Fatal(err)
		}
		compareLines(t, command, got.String(), seen[command])
	}
}

// TestOurColumns compares what chronyc does not have with testdata/report.txt.
func TestOurColumns(t *testing.T) {
	w := usual()
	whys := []string{"", "", "disagrees with the majority by 1.2 s", "others are preferred", "NTS-KE: certificate has expired\x1b[2J"}
	for i := range w.sources {
		w.sources[i].Why, w.selects[i].Why, w.selects[i].Score = whys[i], whys[i], nil
	}
	w.sources = append(w.sources, Source{Mode: "?", State: "?", Name: "unresolved.example.net", LastRx: -1, Error: math.Inf(1),
		Measured: math.NaN()})
	w.selects = append(w.selects, SelectData{State: "nonsense", Name: "b\u00fccher.example", LastRx: -1, Leap: ntp.Leap(9)})
	w.auth = append(w.auth, AuthData{Name: "old.example.net", Address: "192.0.2.200", Mode: AuthAutokey, KeyLength: 32, Type: 1,
		Last: 3600, CookieLength: 4, LegacySigned: true})
	w.tracking.Poll, w.tracking.Updates, w.tracking.Steps, w.tracking.Foreign, w.tracking.Held = 6, 1234, 1, 2,
		"the offset is beyond the panic threshold"
	var got strings.Builder
	for _, o := range []ReportOptions{{Legend: true, Why: true}, {Why: true, Addresses: true}, {CSV: true, Why: true, Legend: true}} {
		fmt.Fprintf(&got, "# %+v\n", o)
		for _, err := range []error{w.tracking.WriteText(&got, o), WriteSources(&got, w.sources, o), WriteSelectData(&got, w.selects, o),
			WriteSourceStats(&got, w.stats[:1], o), WriteAuthData(&got, w.auth, o)} {
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, o := range []ReportOptions{{}, {CSV: true}} {
		fmt.Fprintf(&got, "# no sources %+v\n", o)
		if err := WriteSources(&got, nil, o); err != nil {
			t.Fatal(err)
		}
	}
	file := filepath.Join("testdata", "report.txt")
	if update {
		if err := os.WriteFile(file, []byte(got.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	compareLines(t, file, got.String(), string(want))
}

func TestWriteErrorsAreReturned(t *testing.T) {
	w := usual()
	for _, args := range commands {
		if err := w.write(failing{}, args); err == nil {
			t.Errorf("%v: no error", args)
		}
	}
}

type failing struct{}

func (failing) Write([]byte) (int, error) { return 0, os.ErrClosed }

func TestReferenceIDText(t *testing.T) {
	for _, bad := range []string{`"xyz"`, `"123456789"`, `""`, `"-1"`} {
		var r ReferenceID
		if err := json.Unmarshal([]byte(bad), &r); err == nil {
			t.Errorf("%s was taken", bad)
		}
	}
	var r ReferenceID
	if err := json.Unmarshal([]byte(`"0A0b0C0D"`), &r); err != nil || r != 0x0a0b0c0d || r.String() != "0A0B0C0D" {
		t.Errorf("%v %v", r, err)
	}
}

func TestMACNumber(t *testing.T) {
	for name, want := range map[string]uint16{"MD5": 1, "SHA1": 2, "AES128CMAC": 13, "AES256CMAC": 14, "SM3": 0, "": 0} {
		if got := MACNumber(name); got != want {
			t.Errorf("%s: %d, want %d", name, got, want)
		}
	}
}
