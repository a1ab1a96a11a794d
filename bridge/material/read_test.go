package material

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/pflag"

	"ntsbridge/bridge/config"
)

// files writes files below a fresh directory.
func files(t *testing.T, texts map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range texts {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// Files of conf.d go over the file in the order of their names, variables over
// files, flags over variables; each message names where its value stands.
func TestReadConfig(t *testing.T) {
	dir := files(t, map[string]string{
		"c.yaml":           "server: {workers: 1, batch: 2, dscp: 3}\nkeys: {files: [{path: a}, {path: b}], trusted: [1]}\nlog: {level: warn}\n",
		"conf.d/20.yaml":   "server: {dscp: 5}\n",
		"conf.d/10.yaml":   "server: {batch: 4, dscp: 4}\nkeys: {files: [{path: c}]}\n",
		"conf.d/README":    "not read",
		"conf.d/30.yaml":   "# nothing\n",
		"conf.d/x.yaml.in": "bogus: 1\n",
	})
	t.Setenv("NTSBRIDGE_SERVER_LISTEN", "127.0.0.1:1123, [::1]:1123")
	t.Setenv("NTSBRIDGE_SERVER_DSCP", "6")
	t.Setenv("NTSBRIDGE_LOG_LEVEL", "error")
	t.Setenv("NTSBRIDGE_NTS_ENABLED", "false")
	flags := pflag.NewFlagSet("", pflag.ContinueOnError)
	flags.String("log-level", "", "")
	flags.String("run-dir", "", "")
	if err := flags.Parse([]string{"--log-level=debug"}); err != nil {
		t.Fatal(err)
	}
	in := Input{File: filepath.Join(dir, "c.yaml"), Flags: map[string]*pflag.Flag{"log.level": flags.Lookup("log-level"),
		"run_dir": flags.Lookup("run-dir")}}
	c, err := ReadConfig(in)
	if err != nil {
		t.Fatal(err)
	}
	if s := c.Server; s.Workers != 1 || s.Batch != 4 || s.DSCP != 6 || len(s.Listen) != 2 || s.Listen[1].String() != "[::1]:1123" {
		t.Errorf("%+v", s)
	}
	if len(c.Keys.Files) != 1 || c.Keys.Files[0].Path != filepath.Join(dir, "conf.d", "c") || len(c.Keys.Trusted) != 1 {
		t.Errorf("%+v", c.Keys)
	}
	if c.Log.Level != "debug" || c.NTS.Enabled {
		t.Errorf("%+v, NTS %v", c.Log, c.NTS.Enabled)
	}
	for path, want := range map[string]string{"server.batch": filepath.Join(dir, "conf.d/10.yaml"), "server.dscp": "$NTSBRIDGE_SERVER_DSCP",
		"log.level": "--log-level", "server.workers": in.File, "keys.files[0].path": filepath.Join(dir, "conf.d/10.yaml")} {
		if got := c.Origin(path).File; got != want {
			t.Errorf("%s is from %s, want %s", path, got, want)
		}
	}
}

func TestReadConfigErrors(t *testing.T) {
	dir := files(t, map[string]string{"c.yaml": "server: {workers: x}\n", "conf.d/a.yaml": "\nbogus: 1\n"})
	t.Setenv("NTSBRIDGE_SERVER_BATCH", "5000")
	_, err := ReadConfig(Input{File: filepath.Join(dir, "c.yaml")})
	var problems config.Problems
	if !errors.As(err, &problems) || len(problems) != 3 {
		t.Fatal(err)
	}
	for _, want := range []string{"c.yaml:1: server.workers", "conf.d/a.yaml:2: bogus",
		"$NTSBRIDGE_SERVER_BATCH: server.batch: 5000 is out of range"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in %v", want, err)
		}
	}
	if _, err := ReadConfig(Input{File: filepath.Join(dir, "none")}); !errors.Is(err, fs.ErrNotExist) ||
		!strings.Contains(err.Error(), "convert") {
		t.Errorf("a missing file: %v", err)
	}
	if err := os.Truncate(filepath.Join(dir, "c.yaml"), maxConfigLen+1); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadConfig(Input{File: filepath.Join(dir, "c.yaml")}); err == nil || !strings.Contains(err.Error(), "larger than") {
		t.Errorf("a huge file: %v", err)
	}
}

// Every option has a variable of its own.
func TestVariables(t *testing.T) {
	seen := make(map[string]string)
	for _, option := range config.Options() {
		v := Variable(option)
		if other, ok := seen[v]; ok {
			t.Errorf("%s is the variable of %s and of %s", v, option, other)
		}
		seen[v] = option
	}
	if seen["NTSBRIDGE_SERVER_LISTEN"] != "server.listen" {
		t.Error(seen)
	}
}

func TestCurrentEnvironment(t *testing.T) {
	t.Setenv("STATE_DIRECTORY", "/var/lib/private/x")
	t.Setenv("RUNTIME_DIRECTORY", "")
	t.Setenv("XDG_RUNTIME_DIR", "/run/user/1")
	e := CurrentEnvironment()
	run := "/run/user/1/ntsbridge"
	if os.Geteuid() == 0 {
		run = "/run/ntsbridge"
	}
	if e.StateDir != "/var/lib/private/x" || e.RunDir != run {
		t.Errorf("%+v", e)
	}
}
