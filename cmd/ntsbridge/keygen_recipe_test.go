package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// recipeLine is a line of help that begins a kind of host: "  server, IFF   keygen ...".
var recipeLine = regexp.MustCompile(`^  (server, \w+|client) +(.*)`)

// recipes are the commands of help's fresh site, by kind of host, with "the same
// with" written out.
func recipes(t *testing.T) map[string][]string {
	t.Helper()
	_, text, ok := strings.Cut(keygenLong, "A fresh site:\n")
	if !ok {
		t.Fatal("help has no fresh site")
	}
	all := map[string][]string{}
	kind := ""
	for line := range strings.Lines(text) {
		command := strings.TrimSpace(line)
		if m := recipeLine.FindStringSubmatch(line); m != nil {
			kind, command = m[1], m[2]
		} else if strings.TrimSpace(line[:min(len(line), 3)]) != "" || strings.HasPrefix(line, "  PC") {
			kind = ""
		}
		if command, _, _ = strings.Cut(command, ";"); kind != "" && strings.HasPrefix(command, "keygen ") {
			all[kind] = append(all[kind], command)
		}
	}
	for _, c := range all["server, IFF"] {
		all["server, GQ"] = append(all["server, GQ"], strings.NewReplacer(" -I ", " -G ", "iffpar", "gqpar").Replace(c))
	}
	return all
}

// TestKeygenRecipe makes a site by the commands of keygen's help as they are
// printed, in each group scheme: a client made by its line is served by a server
// made by its own.
func TestKeygenRecipe(t *testing.T) {
	all, dir := recipes(t), t.TempDir()
	var files []string
	for i, scheme := range []string{"IFF", "GQ", "MV"} {
		server, client := all["server, "+scheme], all["client"]
		if len(server) < 2 || len(client) != 1 {
			t.Fatalf("%q", all)
		}
		var script strings.Builder
		script.WriteString("chmod 600 pw\nmkdir s c\ncp pw s/pw\ncp pw c/pw\nchmod 600 s/pw\nchmod 600 c/pw\ncd s\n")
		run := func(command, host string) {
			command, to, redirected := strings.Cut(strings.NewReplacer("GROUP", "site", "HOST", "tick").Replace(command), " > ")
			fmt.Fprintf(&script, "exec ntsbridge %s -s %s\n", command, host)
			if redirected {
				fmt.Fprintf(&script, "cp stdout %s\nchmod 600 %s\n", to, to)
			}
		}
		for _, c := range server {
			run(c, "tick")
		}
		par := fmt.Sprintf("ntpkey_%spar_site", strings.ToLower(scheme))
		script.WriteString("cd ../c\n")
		run(client[0], "tock")
		port := 40141 + i
		fmt.Fprintf(&script, `cp ../s/%[1]s %[1]s
cd ..
exec ntsbridge serve -c site.yaml --state-dir state --run-dir run &serve&
waitfor run/control.sock
exec ntsbridge query --auth autokey --ident site --keysdir c --host tock --password-file pw --samples 1 --port %[2]d 127.0.0.1
stdout '%[3]s'
kill -INT serve
wait serve
-- pw --
a long password
-- site.yaml --
server:
  listen: ["127.0.0.1:%[2]d"]
  workers: 1
clock:
  mode: local
nts:
  enabled: false
autokey:
  enabled: true
  keysdir: s
  host: tick
  password_file: pw
`, par, port, scheme)
		files = append(files, filepath.Join(dir, scheme+".txt"))
		if err := os.WriteFile(files[i], []byte(script.String()), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	testscript.Run(t, testscript.Params{Files: files,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"waitfor": waitFor}})
}
