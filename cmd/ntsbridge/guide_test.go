package main

import (
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// guide is the chapter whose commands are run.
const guide = "../../configs/MIGRATION.md"

// TestMigrationGuide runs each command of the guide, in its order, with a real
// daemon and two clients, and compares what is printed. NTSBRIDGE_UPDATE=1
// writes what was printed into the guide.
func TestMigrationGuide(t *testing.T) {
	text, err := os.ReadFile(guide)
	if err != nil {
		t.Fatal(err)
	}
	g := newGuided(t, string(text))
	parts := regexp.MustCompile("(?s)```console\n.*?```\n").Split(string(text), -1)
	blocks := regexp.MustCompile("(?s)```console\n(.*?)```\n").FindAllStringSubmatch(string(text), -1)
	var b strings.Builder
	for i, part := range parts {
		b.WriteString(part)
		if i < len(blocks) {
			b.WriteString("```console\n" + g.block(blocks[i][1]) + "```\n")
		}
	}
	if os.Getenv("NTSBRIDGE_UPDATE") == "1" {
		if err := os.WriteFile(guide, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	got, want := strings.Split(normal(b.String()), "\n"), strings.Split(normal(string(text)), "\n")
	for i := range want {
		if i >= len(got) || got[i] != want[i] {
			t.Fatalf("line %d: the guide has\n%s\nand it is\n%s", i+1, want[i], got[min(i, len(got)-1)])
		}
	}
}

// guided is where the guide's commands run.
type guided struct {
	t   *testing.T
	dir string
	env []string
}

func newGuided(t *testing.T, text string) *guided {
	g := &guided{t: t, dir: t.TempDir()}
	test, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(g.dir, "bin"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(test, filepath.Join(g.dir, "bin", "ntsbridge")); err != nil {
		t.Fatal(err)
	}
	g.env = append(os.Environ(), "PATH="+filepath.Join(g.dir, "bin")+":"+os.Getenv("PATH"), "TZ=UTC")
	plan := regexp.MustCompile("(?s)```yaml\n(.*?)```").FindStringSubmatch(text)
	pcap, err := os.ReadFile("../../bridge/fleet/capture/testdata/ntpd-md5.pcap")
	if err != nil || plan == nil {
		t.Fatal(err, plan)
	}
	for name, content := range map[string]string{"fleet.yaml": plan[1], "clients.pcap": string(pcap),
		"ntp.conf": "driftfile /var/lib/ntp/drift\nserver 192.0.2.1 iburst\nrestrict default nomodify notrap\n",
		"site.yaml": "state_dir: state\nrun_dir: run\nserver: {listen: [\"127.0.0.1:40127\"], workers: 1}\nclock: {mode: local}\n" +
			"nts: {enabled: false}\nsandbox: \"off\"\n"} {
		if err := os.WriteFile(filepath.Join(g.dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return g
}

// block runs the commands of a block and returns it with what they print.
func (g *guided) block(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		command, ok := strings.CutPrefix(strings.TrimSpace(line), "$ ")
		if !ok {
			continue
		}
		b.WriteString("$ " + command + "\n" + g.run(command))
	}
	return b.String()
}

func (g *guided) run(command string) string {
	g.t.Helper()
	if daemon, ok := strings.CutSuffix(command, " &"); ok {
		g.serve(daemon)
		return ""
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	out, err := g.command(ctx, command).CombinedOutput()
	if err != nil {
		g.t.Errorf("%s: %v\n%s", command, err, out)
	}
	return strings.ReplaceAll(string(out), g.dir+"/", "")
}

func (g *guided) command(ctx context.Context, command string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "sh", "-c", "exec "+command)
	cmd.Dir, cmd.Env = g.dir, g.env
	return cmd
}

// serve starts the daemon, and two clients that it has seen twice.
func (g *guided) serve(command string) {
	g.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	cmd := g.command(ctx, command)
	if err := cmd.Start(); err != nil {
		g.t.Fatal(err)
	}
	g.t.Cleanup(func() {
		_ = cmd.Process.Signal(os.Interrupt)
		_ = cmd.Wait()
		cancel()
	})
	seen := make(chan struct{}, 8)
	for _, a := range []string{"127.0.0.11", "127.0.0.12"} {
		go g.asks(ctx, a, seen)
	}
	for range 4 {
		select {
		case <-seen:
		case <-time.After(time.Minute):
			g.t.Fatal("the daemon does not answer")
		}
	}
}

// asks is a client that polls every 4 s.
func (g *guided) asks(ctx context.Context, from string, seen chan<- struct{}) {
	local := &net.UDPAddr{IP: net.ParseIP(from), Port: 40300}
	for ctx.Err() == nil {
		pause := 200 * time.Millisecond
		if c, err := net.DialUDP("udp", local, &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 40127}); err == nil {
			packet := make([]byte, 48)
			packet[0] = 4<<3 | 3
			_, _ = c.Write(packet)
			_ = c.SetReadDeadline(time.Now().Add(time.Second))
			if _, err := c.Read(packet); err == nil {
				pause = 4 * time.Second
				select {
				case seen <- struct{}{}:
				default:
				}
			}
			_ = c.Close()
		}
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
	}
}

// normal replaces what differs from run to run.
func normal(s string) string {
	for _, r := range []struct{ pattern, by string }{
		{`\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d)?(\.\d+)?( UTC|Z)?`, "TIME"}, {`\d{4}-\d\d-\d\d`, "DATE"}, {`user \d+, process \d+`, "WHO"},
		{`[0-9a-f]{64}`, "HASH"}, {`\b\d+(\.\d+)?(ms|s|m|h|d)\b`, "SPAN"}, {`(SPAN)+`, "SPAN"}, {`\b\d+\b`, "N"}, {`[ -]{2,}`, " "}, {`[ \t]+\n`, "\n"},
	} {
		s = regexp.MustCompile(r.pattern).ReplaceAllString(s, r.by)
	}
	return s
}
