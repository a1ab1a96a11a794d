package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"ntsbridge/bridge/needs"
)

// guide is the chapter whose commands are run.
const guide = "../../configs/MIGRATION.md"

// TestMigrationGuide runs each command of the guide, in its order, with a real
// daemon and two clients, and compares what is printed. NTSBRIDGE_UPDATE=1
// writes what was printed into the guide.
func TestMigrationGuide(t *testing.T) {
	needs.Slow(t)
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
	// ports of the daemon and of one of its clients
	port, from int
}

func newGuided(t *testing.T, text string) *guided {
	g := &guided{t: t, dir: t.TempDir(), port: freeUDPPort(t), from: freeUDPPort(t)}
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
	plan := regexp.MustCompile("(?s)```yaml\n(protected:.*?)```").FindStringSubmatch(text)
	pcap, err := os.ReadFile("../../bridge/fleet/capture/testdata/ntpd-md5.pcap")
	if err != nil || plan == nil {
		t.Fatal(err, plan)
	}
	for name, content := range map[string]string{"fleet.yaml": plan[1], "clients.pcap": string(pcap),
		"ntp.conf": "driftfile /var/lib/ntp/drift\nserver 192.0.2.1 iburst\nrestrict default nomodify notrap\n",
		"ntp.keys": "1 SHA1 0123456789abcdef0123456789abcdef01234567\n5 SHA1 1123456789abcdef0123456789abcdef01234567\n",
		"password": "plain words\n",
		"site.yaml": "state_dir: state\nrun_dir: run\n" +
			fmt.Sprintf("server: {listen: [\"127.0.0.1:%d\"], workers: 1}\nclock: {mode: local}\n", g.port) +
			"keys:\n  files: [{path: ntp.keys}]\n  trusted: [1, 5-6]\nautokey: {enabled: true, keysdir: autokey, password_file: password}\n" +
			"nts: {enabled: false}\nsandbox: \"off\"\n"} {
		if err := os.WriteFile(filepath.Join(g.dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(g.dir, "autokey"), 0o700); err != nil {
		t.Fatal(err)
	}
	g.run("ntsbridge keygen -T --keysdir autokey --password-file password")
	return g
}

// freeUDPPort is one that nobody had a moment ago.
func freeUDPPort(t *testing.T) int {
	t.Helper()
	c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	return c.LocalAddr().(*net.UDPAddr).Port
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
	want := 0
	if _, status, ok := strings.Cut(command, "# status "); ok {
		want, _ = strconv.Atoi(status)
	}
	var failed *exec.ExitError
	switch {
	case errors.As(err, &failed) && failed.ExitCode() != want || err != nil && failed == nil:
		g.t.Errorf("%s: %v\n%s", command, err, out)
	case err == nil && want != 0:
		g.t.Errorf("%s: status 0, want %d\n%s", command, want, out)
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
	log := &strings.Builder{}
	cmd.Stderr = log
	if err := cmd.Start(); err != nil {
		g.t.Fatal(err)
	}
	g.t.Cleanup(func() {
		_ = cmd.Process.Signal(os.Interrupt)
		_ = cmd.Wait()
		cancel()
		if g.t.Failed() {
			g.t.Log(log)
		}
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
	chrony := from == "127.0.0.12" // it asks as chronyd does, the other one as a simple client
	local := &net.UDPAddr{IP: net.ParseIP(from)}
	if !chrony {
		local.Port = g.from
	}
	for ctx.Err() == nil {
		pause := 200 * time.Millisecond
		if c, err := net.DialUDP("udp", local, &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: g.port}); err == nil {
			packet := make([]byte, 48)
			packet[0] = 4<<3 | 3
			if chrony {
				packet[2], packet[3] = 2, 32
				_, _ = rand.Read(packet[40:])
			}
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
		{`\d+\.\d+\.\d+\.\d+,(chrony|SNTP),`, "CLIENT,"}, // whichever of the two was last
		{`\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d)?(\.\d+)?( UTC|Z)?`, "TIME"}, {`\d{4}-\d\d-\d\d`, "DATE"}, {`user \d+, process \d+`, "WHO"},
		{`[0-9a-f]{64}`, "HASH"}, {`\b\d+(\.\d+)?(ms|s|m|h|d)\b`, "SPAN"}, {`(SPAN)+`, "SPAN"}, {`\b\d+\b`, "N"}, {`[ -]{2,}`, " "}, {`[ \t]+\n`, "\n"},
	} {
		s = regexp.MustCompile(r.pattern).ReplaceAllString(s, r.by)
	}
	return s
}

// TestGuidePlaybook has Ansible read the guide's playbook, and run it, without
// changing anything, for a host with a kit and one without.
func TestGuidePlaybook(t *testing.T) {
	needs.Slow(t)
	program, err := exec.LookPath("ansible-playbook")
	if err != nil {
		needs.Missing(t, "the guide's playbook is not read: %v", err)
	}
	text, err := os.ReadFile(guide)
	if err != nil {
		t.Fatal(err)
	}
	playbook := regexp.MustCompile("(?s)```yaml\n(- hosts: legacy\n.*?)```").FindStringSubmatch(string(text))
	if playbook == nil {
		t.Fatal("the guide has no playbook")
	}
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "kits"), 0o755); err != nil {
		t.Fatal(err)
	}
	target := filepath.Join(dir, "chrony.conf")
	for name, content := range map[string]string{
		"move-to-nts.yaml": playbook[1], "kits/chrony.chrony.conf": "server x nts\n",
		"kits/clients.csv": "address,label,implementation,loses,file,path,advice\n192.0.2.1,,chrony,none,chrony.chrony.conf," + target + ",\n",
		"hosts.ini":        "[legacy]\na ansible_host=192.0.2.1\nb ansible_host=192.0.2.2\n[legacy:vars]\nansible_connection=local\nansible_become=false\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command(program, "-i", "hosts.ini", "move-to-nts.yaml", "--check", "--start-at-task", "Its configuration")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "ANSIBLE_LOCAL_TEMP="+dir, "ANSIBLE_REMOTE_TEMP="+dir, "ANSIBLE_NOCOLOR=1")
	out, err := cmd.CombinedOutput()
	for _, want := range []string{"changed: [a]", "skipping: [b]"} {
		if !strings.Contains(string(out), want) {
			t.Errorf("%q is not in what Ansible says, %v:\n%s", want, err, out)
		}
	}
}
