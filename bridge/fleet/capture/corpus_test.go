package capture

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ntsbridge/bridge/fleet/inventory"
	"ntsbridge/bridge/ntp"
)

func opener(b []byte) func() (io.ReadCloser, error) {
	return func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(b)), nil }
}

func newInventory(t testing.TB) *inventory.Inventory {
	t.Helper()
	v, err := inventory.New(inventory.Options{Capacity: 1000, Seed: [2]uint64{1, 2}})
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// clients reads a capture of testdata.
func clients(t testing.TB, name string) ([]inventory.Client, *Report) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	v := newInventory(t)
	rep, err := Read(opener(b), Options{}, v)
	if err != nil {
		t.Fatal(err)
	}
	var list []inventory.Client
	for i := range v.Places() {
		var c inventory.Client
		if v.Read(i, 0, &c) {
			list = append(list, c)
		}
	}
	return list, rep
}

// programs are the names that the captures begin with.
var programs = map[string]string{
	"busybox": inventory.Busybox, "chrony43": inventory.Chrony, "chrony46": inventory.Chrony, "chrony49": inventory.Chrony,
	"ntpd": inventory.Ntpd, "ntpsec": inventory.Ntpsec, "openntpd": inventory.OpenNTPD, "rs14": inventory.NtpdRs, "rs19": inventory.NtpdRs,
	"timesyncd": inventory.Timesyncd, "oneshot-busybox": inventory.Busybox, "oneshot-chrony43": inventory.Chrony,
	"oneshot-chrony46": inventory.Chrony, "oneshot-ntpd": inventory.Ntpd, "oneshot-ntpdate": inventory.Ntpdate,
	"oneshot-ntpdig": inventory.Ntpdig, "oneshot-ntpsec": inventory.Ntpsec, "oneshot-rdate": inventory.SNTP, "oneshot-sntp": inventory.Sntp,
}

func programOf(name string) string {
	base := strings.TrimSuffix(name, ".pcap")
	for base != "" {
		if p, ok := programs[base]; ok {
			return p
		}
		i := strings.LastIndexByte(base, '-')
		if i < 0 {
			break
		}
		base = base[:i]
	}
	return ""
}

// Each client of the corpus is told for what it is, with its means.
func TestCorpus(t *testing.T) {
	files, err := filepath.Glob("testdata/*.pcap")
	if err != nil || len(files) < 80 {
		t.Fatalf("%d captures, %v", len(files), err)
	}
	for _, f := range files {
		name := filepath.Base(f)
		t.Run(name, func(t *testing.T) {
			list, rep := clients(t, name)
			if len(list) != 1 {
				t.Fatalf("%d clients (%v), want 1", len(list), rep)
			}
			c := &list[0]
			if strings.Contains(name, "-nts-ke") {
				if c.KE.Handshakes+uint32(c.KE.Failures) == 0 {
					t.Errorf("no NTS-KE: %+v", c)
				}
				return
			}
			if len(c.Means) != 1 {
				t.Fatalf("means %+v, want one", c.Means)
			}
			m := &c.Means[0]
			if want := programOf(name); m.Program != want {
				t.Errorf("%q (%s), want %q", m.Program, m.Why, want)
			}
			if c.Hosts != 1 {
				t.Errorf("%d hosts, want 1", c.Hosts)
			}
			kind, key := ntp.KindNone, uint32(0)
			switch {
			case strings.Contains(name, "-nts"):
				kind, key = ntp.KindNTS, 15
				if strings.Contains(name, "chrony46") || strings.Contains(name, "chrony49") {
					key = 30
				}
			case strings.Contains(name, "-ak"):
				kind = ntp.KindAutokey
			case strings.Contains(name, "md5"), strings.Contains(name, "sha1"), strings.Contains(name,
				"aes"), strings.HasSuffix(name, "-key.pcap"), strings.Contains(name, "-peer"):
				kind, key = ntp.KindSymmetric, m.Key
				if m.Key == 0 || m.Key > 65535 {
					t.Errorf("key %d", m.Key)
				}
			}
			if m.Kind != kind || m.Key != key {
				t.Errorf("means %v %d, want %v %d", m.Kind, m.Key, kind, key)
			}
			if name == "ntpd-akiff.pcap" && m.Scheme != inventory.SchemeIFF || name == "ntpd-aktc.pcap" && m.Scheme != inventory.SchemeTC {
				t.Errorf("scheme %v", m.Scheme)
			}
			wantRefusal := ""
			switch {
			case strings.HasSuffix(name, "-nts-nak.pcap"):
				wantRefusal = "unknown-cookie"
			case strings.HasSuffix(name, "-nak.pcap"):
				wantRefusal = "unknown-key"
			case strings.HasSuffix(name, "-deny.pcap"):
				wantRefusal = "denied"
			case strings.HasSuffix(name, "-rate.pcap"):
				wantRefusal = "rate-limited"
			case strings.HasSuffix(name, "-down.pcap"):
				wantRefusal = "no-answer"
			}
			if got := fmt.Sprint(m.Refused()); wantRefusal == "" && (m.Answered == 0 || m.Refusals() != 0 && !strings.Contains(name,
				"-back") && !strings.Contains(name, "closed") && !strings.Contains(name, "-akiff")) ||
				wantRefusal != "" && (len(m.Refused()) == 0 || !strings.Contains(refusals(m), wantRefusal)) {
				t.Errorf("answered %d, refused %v (%s), want %q", m.Answered, got, refusals(m), wantRefusal)
			}
		})
	}
}

func refusals(m *inventory.Means) string {
	var s []string
	for _, r := range m.Refused() {
		s = append(s, fmt.Sprintf("%s %d", inventory.ReasonName(r.Reason), r.Count))
	}
	return strings.Join(s, ", ")
}
