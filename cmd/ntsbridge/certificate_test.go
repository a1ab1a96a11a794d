package main

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"ntsbridge/bridge/nke"
)

func TestCertificateScript(t *testing.T) {
	testscript.Run(t, testscript.Params{Files: []string{"testdata/certificate.txt"}})
}

// What is made is what no client complains of, and the keys are for their
// owners; renewal keeps key and names.
func TestCertificateIsAcceptable(t *testing.T) {
	f := &certificateFlags{dir: filepath.Join(t.TempDir(), "ca"), days: 90, group: "root"}
	var out bytes.Buffer
	if err := f.make(&out, []string{"tick.example", "192.0.2.1"}); err != nil {
		t.Fatal(err)
	}
	files := nke.Files{Certificate: f.path("tick.example.crt"), Key: f.path("tick.example.key")}
	key, err := os.ReadFile(files.Key)
	if err != nil {
		t.Fatal(err)
	}
	f.force = true
	if err := f.renew(&out, nil); err != nil {
		t.Fatal(err)
	}
	certs, err := nke.LoadCertificates([]nke.Files{files})
	if err != nil {
		t.Fatal(err)
	}
	if list := certs.Complaints(time.Now())[0]; len(list) > 0 {
		t.Errorf("%+v", list)
	}
	if st := certs.Status(time.Now())[0]; len(st.Names) != 2 || len(st.Chain) != 1 || st.DaysLeft < 89 {
		t.Errorf("%+v", st)
	}
	after, err := os.ReadFile(files.Key)
	if err != nil || !bytes.Equal(key, after) {
		t.Errorf("another key: %v", err)
	}
	want := map[string]os.FileMode{"root.key": 0o600, "intermediate.key": 0o600, "tick.example.key": 0o600, "root.crt": 0o644}
	if os.Geteuid() == 0 {
		want["tick.example.key"] = 0o640
	}
	for name, mode := range want {
		if info, err := os.Stat(f.path(name)); err != nil || info.Mode().Perm() != mode {
			t.Errorf("%s: %v, %v", name, info.Mode(), err)
		}
	}
}
