package main

import (
	"errors"
	"io/fs"
	"os"
	"testing"
	"testing/fstest"
)

// Of this host the system says the name, of another one its files.
func TestHostnameOf(t *testing.T) {
	file := func(name, text string) fs.FS { return fstest.MapFS{name: {Data: []byte(text)}} }
	system := func() (string, error) { return "tick.example.org", nil }
	for name, test := range map[string]struct {
		root fs.FS
		want string
	}{
		"this host":         {os.DirFS("/"), "tick.example.org"},
		"no root":           {nil, ""},
		"/etc/hostname":     {file("etc/hostname", "tock\n"), "tock"},
		"with comments":     {file("etc/hostname", "# the name\n\n tock \n"), "tock"},
		"Red Hat's":         {file("etc/sysconfig/network", "NETWORKING=yes\nHOSTNAME=\"tock.example.org\"\n"), "tock.example.org"},
		"without a name":    {file("etc/sysconfig/network", "NETWORKING=yes\n"), ""},
		"something else":    {file("etc/hostname", string(make([]byte, maxHostnameFile+1))), ""},
		"an empty file too": {file("etc/hostname", ""), ""},
	} {
		if got := hostnameOf(test.root, system); got != test.want {
			t.Errorf("%s: %q, want %q", name, got, test.want)
		}
	}
	if got := hostnameOf(os.DirFS("/"), func() (string, error) { return "", errors.New("none") }); got == "tick.example.org" {
		t.Errorf("%q", got)
	}
}
