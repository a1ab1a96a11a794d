package keygen

import (
	"crypto/rand"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"ntsbridge/autokey/keyfile"
)

// directory is a key directory in memory.
type directory struct {
	files fstest.MapFS
	now   time.Time
	told  []string
}

func newDirectory() *directory {
	return &directory{files: fstest.MapFS{}, now: time.Date(2027, 1, 2, 3, 4, 5, 0, time.UTC)}
}

// make runs the plan of a command line and writes it.
func (d *directory) make(t *testing.T, renew bool, args string) (*Plan, error) {
	t.Helper()
	v, err := ParseArgs(strings.Fields(args))
	if err != nil {
		t.Fatal(err)
	}
	d.told = nil
	plan, err := Make(Inputs{Options: v, Renew: renew, System: "tick", Now: d.now, Rand: rand.Reader,
		Password: v.Text("password"), ExportPassword: v.Text("export-passwd"),
		Read:   func(name string) ([]byte, error) { return fs.ReadFile(d.files, name) },
		Target: func(name string) string { return name },
		Tell:   func(n Note) { d.told = append(d.told, n.Text) }})
	if err != nil {
		return nil, err
	}
	for _, f := range plan.Files {
		d.files[f.Name] = &fstest.MapFile{Data: f.Content}
		d.files[f.Link] = d.files[f.Name]
	}
	return plan, nil
}

// A plan has all files of an IFF server; a later one exports its group, a
// renewal touches the certificate alone.
func TestMake(t *testing.T) {
	d := newDirectory()
	plan, err := d.make(t, false, "-T -I -i site -p secret")
	if err != nil {
		t.Fatal(err)
	}
	var links []string
	for _, f := range plan.Files {
		links = append(links, f.Link)
		if f.Secret != (f.Link != "ntpkey_cert_tick") || !strings.HasSuffix(f.Name, ".4007847845") {
			t.Errorf("%s: secret %t", f.Name, f.Secret)
		}
	}
	if want := []string{"ntpkey_host_tick", "ntpkey_iffkey_tick", "ntpkey_cert_tick"}; !slices.Equal(links, want) ||
		plan.Password != "secret" {
		t.Errorf("links %v, want %v", links, want)
	}
	host, err := keyfile.LoadHost(d.files, keyfile.HostOptions{Host: "tick", Password: "secret", Now: d.now})
	if err != nil || host.Name != "tick@site" || host.IFF == nil || !host.Certificate.Trusted {
		t.Fatalf("%+v, %v", host, err)
	}
	d.now = d.now.Add(time.Hour)
	if plan, err = d.make(t, false, "-e -i site -p secret"); err != nil || len(plan.Files) != 1 {
		t.Fatalf("%+v, %v", plan, err)
	}
	group := fstest.MapFS{"ntpkey_iffpar_site": {Data: plan.Output}}
	if _, err := keyfile.LoadGroup(group, keyfile.IFF, "site"); err != nil {
		t.Error(err)
	}
	before := maps.Clone(d.files)
	if plan, err = d.make(t, true, "-p secret"); err != nil || len(plan.Files) != 1 || plan.Files[0].Link != "ntpkey_cert_tick" {
		t.Fatalf("%+v, %v", plan, err)
	}
	if len(d.files) != len(before)+1 {
		t.Errorf("a renewal left %d files, want one more than %d", len(d.files), len(before))
	}
}

// Errors say what to do, and a plan that fails has no files.
func TestMakeErrors(t *testing.T) {
	for args, want := range map[string]string{
		"-T -q PW":                  "that of this host's own files is -p",
		"-T -q PW -p PW":            "make one with -I, -G or -V",
		"-T -P":                     "trusted-cert and pvt-cert at once",
		"-C rot13":                  "unknown cipher rot13",
		"-i a/b":                    "group name",
		"-S ECDSA":                  "want RSA or DSA",
		"-l -1":                     "out of range",
		"--if-expires-within 3":     "goes with renew only",
		"-e --scheme=pc":            "want iff, gq or mv",
		"--oldest-peer 4.2.4":       "want 4.2.6 or 4.2.8",
		"--oldest-peer 4.2.8 -SDSA": "crashes on DSA",
		"-G -b 256":                 "too small",
	} {
		if plan, err := newDirectory().make(t, false, args); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, %v; want %q", args, plan, err, want)
		}
	}
	if _, err := newDirectory().make(t, true, ""); err == nil || !strings.Contains(err.Error(), "no certificate") {
		t.Error(err)
	}
}
