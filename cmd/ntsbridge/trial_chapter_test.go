package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"ntsbridge/bridge/needs"

	"github.com/rogpeppe/go-internal/testscript"
)

var printedCommand = regexp.MustCompile(`(?m)^    (ntsbridge .*)$`)

// TestTrialChapter runs the commands of "Trial, takeover, point of no return" as
// they are printed, in their order, on the ntp.conf of a site with Autokey; and
// goes back to the trial in between. (With clients: TestLongTrialAndBack.)
func TestTrialChapter(t *testing.T) {
	needs.Root(t, "serve port 123 in a network of its own")
	text, err := os.ReadFile("../../configs/README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, chapter, _ := strings.Cut(string(text), "### Trial, takeover, point of no return\n")
	chapter, _, _ = strings.Cut(chapter, "\n## ")
	commands := printedCommand.FindAllStringSubmatch(chapter, -1)
	if len(commands) != 8 {
		t.Fatalf("%q", commands)
	}
	var script strings.Builder
	script.WriteString(`chmod 600 pw
env NTSBRIDGE_RUN_DIR=$WORK/run
env NTSBRIDGE_STATE_DIR=$WORK/state
mkdir keys
exec sed -i s,WORK,$WORK, ntp.conf
exec ntsbridge keygen -T -I --password-file pw --keysdir keys -s tick
`)
	command := func(c string) { fmt.Fprintf(&script, "exec unshare --net %s\n", c) }
	for i, c := range commands {
		command(c[1])
		switch i {
		case 0:
			script.WriteString("grep '^  seed: zero-compatible' ntsbridge.yaml\ngrep 'This is a trial' report.txt\n")
		case 1:
			script.WriteString("stderr 'autokey.seed: cookies are made from seed 0'\nstdout '^Autokey +host tick, identity IFF'\n" +
				"exec unshare --net ntsbridge serve -c ntsbridge.yaml &serve&\nwaitfor run/control.sock\n")
		case 4:
			script.WriteString("! grep zero-compatible ntsbridge.yaml\ngrep '^  takeover:' ntsbridge.yaml\n")
		case 5:
			script.WriteString("stdout 'accepted until'\n! stderr 'seed 0, which anybody'\n")
		case 6: // and back, and there again
			command(commands[0][1])
			command(c[1])
			command(commands[4][1])
			command(c[1])
		}
	}
	script.WriteString(`kill -INT serve
wait serve
stderr 'end the trial with autokey.seed: own'
-- pw --
a long password
-- ntp.conf --
server 127.127.1.0
fudge 127.127.1.0 stratum 5
keysdir WORK/keys
crypto host tick pw "a long password"
restrict default nomodify notrap nopeer noquery
restrict 127.0.0.1
`)
	file := filepath.Join(t.TempDir(), "chapter.txt")
	if err := os.WriteFile(file, []byte(script.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{Files: []string{file},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"waitfor": waitFor}})
}
