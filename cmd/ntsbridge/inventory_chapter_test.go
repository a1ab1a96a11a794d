package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// documented returns the commands of a chapter as they are printed, with the files
// that it shows (lines that are no commands of ours) left out.
func documented(t *testing.T, name string) (list []string) {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if c, ok := strings.CutPrefix(strings.TrimRight(line, "\n"), "    ntsbridge "); ok {
			list = append(list, "ntsbridge "+c)
		}
	}
	return list
}

// TestInventoryChapter runs each command of the chapter "Finding out who uses what"
// as it is printed, in its order, beside a running daemon: none may fail but the
// gate of a key that was just used.
func TestInventoryChapter(t *testing.T) {
	commands := documented(t, "../../configs/INVENTORY.md")
	if len(commands) < 12 {
		t.Fatalf("%d commands: %q", len(commands), commands)
	}
	var script strings.Builder
	script.WriteString(`chmod 600 keys
env NTSBRIDGE_RUN_DIR=$WORK/run
env NTSBRIDGE_STATE_DIR=$WORK/state
exec ntsbridge serve -c ntsbridge.yaml &serve&
waitfor run/control.sock
exec ntsbridge query --auth key --keys keys --key-id 5 --port 40126 127.0.0.1
`)
	for _, c := range commands {
		c, to, redirected := strings.Cut(c, " > ")
		if strings.Contains(c, "keys retire") {
			script.WriteString("! exec " + c + "\nstdout '^quiet +shut'\n") // the query above used it
			continue
		}
		script.WriteString("exec " + c + "\n")
		if !strings.Contains(c, "--unused") {
			script.WriteString("stdout .\n")
		}
		if redirected {
			fmt.Fprintf(&script, "cp stdout %s\n", to)
		}
		if strings.HasSuffix(c, "192.0.2.7") {
			script.WriteString("stdout 'payments/fra'\nstdout 'key [0-9]+'\n")
		}
	}
	script.WriteString(`grep '192.0.2.7.*payments' board.csv
exists keys
kill -INT serve
wait serve
-- ntsbridge.yaml --
server:
  listen: ["127.0.0.1:40126"]
  workers: 1
clock:
  mode: local
nts:
  enabled: false
keys:
  files: [{path: keys}]
  trusted: [5, 105]
fleet:
  labels: [labels.csv]
-- keys --
5 SHA1 0123456789abcdef0123456789abcdef01234567
-- labels.csv --
prefix,owner,site,note
192.0.2.0/24,payments,fra,
2001:db8:7::/48,storage,muc,appliances: firmware 4 has no NTS
`)
	file := filepath.Join(t.TempDir(), "chapter.txt")
	if err := os.WriteFile(file, []byte(script.String()), 0o644); err != nil {
		t.Fatal(err)
	}
	capture := captureFrom(t, "192.0.2.7")
	testscript.Run(t, testscript.Params{Files: []string{file},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"waitfor": waitFor},
		Setup: func(e *testscript.Env) error {
			return os.WriteFile(filepath.Join(e.WorkDir, "clients.pcap"), capture, 0o644)
		}})
}

// captureFrom is a recorded capture of an ntpd with a key, from another address and
// of the last minutes.
func captureFrom(t *testing.T, addr string) []byte {
	t.Helper()
	b, err := os.ReadFile("../../bridge/fleet/capture/testdata/ntpd-md5.pcap")
	if err != nil {
		t.Fatal(err)
	}
	recorded, a := [4]byte{10, 181, 1, 5}, netip.MustParseAddr(addr).As4()
	if !bytes.Contains(b, recorded[:]) {
		t.Fatal("the recorded client is not in the capture")
	}
	b = bytes.ReplaceAll(b, recorded[:], a[:])
	const fileHeader, frameHeader = 24, 16
	now := uint32(time.Now().Unix()) - 300
	first := binary.LittleEndian.Uint32(b[fileHeader:])
	for at := fileHeader; at+frameHeader <= len(b); {
		frame := b[at:]
		binary.LittleEndian.PutUint32(frame, binary.LittleEndian.Uint32(frame)-first+now)
		at += frameHeader + int(binary.LittleEndian.Uint32(frame[8:]))
	}
	return b
}

// TestClientsScript asks a running daemon for its clients in every way.
func TestClientsScript(t *testing.T) {
	captures := map[string][]byte{"clients.pcap": captureFrom(t, "192.0.2.7"), "other.pcap": captureFrom(t, "198.51.100.9")}
	testscript.Run(t, testscript.Params{Files: []string{"testdata/clients.txt"},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"waitfor": waitFor},
		Setup: func(e *testscript.Env) error {
			for name, text := range captures {
				if err := os.WriteFile(filepath.Join(e.WorkDir, name), text, 0o600); err != nil {
					return err
				}
			}
			return nil
		}})
}
