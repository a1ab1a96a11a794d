//go:build linux

package attack

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"syscall"
	"time"
)

// NTPD is where real ntpd 4.2.8 can be run: two of them, in namespaces from
// which the server is reached by the addresses of their own.
type NTPD struct {
	Root       string // to chroot into, as bridge/interop/peers.sh makes it; empty: there is none
	Namespaces [2]string
	Addresses  [2]netip.Addr
}

// Limits of a real ntpd.
const (
	danceTime = 30 * time.Second // for the whole dance, of which ntpd sends a message every 2 s
	pollsTime = 17 * time.Second // for two requests of one that polls every 8 s
	askTime   = 5 * time.Second  // for ntpq
)

// enter goes into a directory of a root that has no devices, nor a shell, of
// its own.
const enter = `mount --bind /dev "$0/dev" && exec unshare --root "$0" --wd "$@"`

// daemon is a real ntpd that has the server as its only source, by Autokey
// with TC.
type daemon struct {
	root, namespace string
	dir             string // below the root
	name            string // of its host
	server          netip.Addr
	cmd             *exec.Cmd
}

func (c *Config) newDaemon(i int) (*daemon, error) {
	dir, err := os.MkdirTemp(filepath.Join(c.NTPD.Root, "tmp"), "ntpload-")
	if err != nil {
		return nil, err
	}
	d := &daemon{root: c.NTPD.Root, namespace: c.NTPD.Namespaces[i], name: fmt.Sprintf("client%d.example", i), server: c.Server.Addr()}
	d.dir, err = filepath.Rel(d.root, dir)
	return d, err
}

// command runs a program of the root in the daemon's namespace, in a folder of
// its directory, without the right to set the clock.
func (d *daemon) command(ctx context.Context, folder string, words ...string) *exec.Cmd {
	args := []string{"netns", "exec", d.namespace, "setpriv", "--bounding-set=-sys_time", "--inh-caps=-sys_time",
		"unshare", "--mount", "sh", "-c", enter, d.root, filepath.Join("/", d.dir, folder)}
	cmd := exec.CommandContext(ctx, "ip", append(args, words...)...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	cmd.WaitDelay = time.Second
	return cmd
}

// start makes the key set that the daemon's own ntp-keygen makes, unless it is
// there, and starts the daemon without any memory of the server.
func (d *daemon) start(ctx context.Context) error {
	inside := "/" + d.dir
	conf := fmt.Sprintf("server %s autokey iburst burst minpoll 3 maxpoll 3\ntos mindist 0.1 maxdist 16\ndisable kernel\n"+
		"driftfile %[2]s/drift\nkeysdir %[2]s/keys\ncrypto host %[3]s pw ntpload\n", d.server, inside, d.name)
	for name, content := range map[string]string{"ntp.conf": conf, "drift": "0.000\n"} {
		if err := os.WriteFile(filepath.Join(d.root, d.dir, name), []byte(content), 0o600); err != nil {
			return err
		}
	}
	keys := filepath.Join(d.root, d.dir, "keys")
	if err := os.Mkdir(keys, 0o700); err == nil {
		made := d.command(ctx, "keys", "/usr/sbin/ntp-keygen", "-m", "1024", "-c", "RSA-SHA256", "-p", "ntpload", "-s", d.name)
		if said, err := made.CombinedOutput(); err != nil {
			return fmt.Errorf("ntp-keygen: %w: %s", err, said)
		}
	}
	log, err := os.Create(filepath.Join(d.root, d.dir, "log"))
	if err != nil {
		return err
	}
	defer log.Close()
	d.cmd = d.command(ctx, "", "/usr/sbin/ntpd", "-n", "-g", "-c", inside+"/ntp.conf")
	d.cmd.Stdout, d.cmd.Stderr = log, log
	return d.cmd.Start()
}

// stop ends the daemon.
func (d *daemon) stop() {
	if d.cmd != nil {
		_ = d.cmd.Process.Kill()
		_ = d.cmd.Wait()
		d.cmd = nil
	}
}

func (d *daemon) remove() {
	d.stop()
	_ = os.RemoveAll(filepath.Join(d.root, d.dir))
}

// counts is what a daemon tells of its only association.
type counts struct {
	authenticated  bool // by Autokey, and reached
	sent, answered int
}

var (
	okRow    = regexp.MustCompile(`(?m)^ *1 +\d+ +[0-9a-f]+ +yes +yes +ok `)
	statsRow = regexp.MustCompile(`(?m)^(packets sent|packets received|bad authentication|bogus origin|duplicate): +(\d+)`)
)

// counts asks the daemon, by its own ntpq.
func (d *daemon) counts(ctx context.Context) (counts, error) {
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	said, err := d.command(ctx, "", "/usr/bin/ntpq", "-n", "-c", "as", "-c", "pstats &1", "127.0.0.1").CombinedOutput()
	if err != nil {
		return counts{}, fmt.Errorf("ntpq: %w: %s", err, said)
	}
	return parseCounts(string(said))
}

// parseCounts reads ntpq's as and pstats. What is received but no answer to the
// last request, or not authentic, is no answer.
func parseCounts(said string) (counts, error) {
	n := map[string]int{}
	for _, m := range statsRow.FindAllStringSubmatch(said, -1) {
		n[m[1]], _ = strconv.Atoi(m[2])
	}
	if _, ok := n["packets received"]; !ok {
		return counts{}, fmt.Errorf("ntpq tells nothing of the association: %q", said)
	}
	answered := n["packets received"] - n["bad authentication"] - n["bogus origin"] - n["duplicate"]
	return counts{okRow.MatchString(said), n["packets sent"], answered}, nil
}

// dance waits until the daemon has its cookie, and is reached by it.
func (d *daemon) dance(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, danceTime)
	defer cancel()
	again := time.NewTicker(time.Second)
	defer again.Stop()
	for {
		n, err := d.counts(ctx)
		if err == nil && n.authenticated {
			return nil
		}
		select {
		case <-ctx.Done():
			log, _ := os.ReadFile(filepath.Join(d.root, d.dir, "log"))
			return fmt.Errorf("ntpd has no cookie after %v: %+v, %w; it said:\n%s", danceTime, n, errors.Join(err, ctx.Err()), log)
		case <-again.C:
		}
	}
}

// ntpds are the clients that are real daemons: one with a cookie, and one that
// begins anew in each flood. Without a root there are none.
func (c *Config) ntpds(ctx context.Context) (list []*client, remove func(), err error) {
	if c.NTPD.Root == "" {
		return nil, func() {}, nil
	}
	known, err := c.newDaemon(0)
	if err != nil {
		return nil, nil, err
	}
	fresh, err := c.newDaemon(1)
	if err != nil {
		known.remove()
		return nil, nil, err
	}
	remove = func() { known.remove(); fresh.remove() }
	if err = known.start(ctx); err == nil {
		err = known.dance(ctx)
	}
	return []*client{
		{name: "ntpd", held: true, from: c.NTPD.Addresses[0], during: known.polls},
		{name: "ntpd-new", held: true, from: c.NTPD.Addresses[1], during: fresh.begins},
	}, remove, err
}

// polls counts what the daemon asks, in its own time, and is answered.
func (d *daemon) polls(ctx context.Context, over time.Duration) (answered, asked int) {
	before, err := d.counts(ctx)
	if err != nil {
		return 0, 1
	}
	select {
	case <-ctx.Done():
	case <-time.After(max(over, pollsTime)):
	}
	after, err := d.counts(ctx)
	if err != nil {
		return 0, 1
	}
	return after.answered - before.answered, after.sent - before.sent
}

// begins lets a new daemon try for its cookie, once.
func (d *daemon) begins(ctx context.Context, _ time.Duration) (begun, tried int) {
	defer d.stop()
	if d.start(ctx) == nil && d.dance(ctx) == nil {
		return 1, 1
	}
	return 0, 1
}
