// Package etcdtest starts real etcds for tests, as bridge/interop/peers.sh
// installs them.
package etcdtest

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"ntsbridge/bridge/needs"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"ntsbridge/bridge/config"
)

// Cluster are members of one etcd, on addresses of the loopback interface.
type Cluster struct {
	Members []*Member
	t       testing.TB
	token   string
	tls     *tls.Config // of the test's own clients
}

// Member is one process.
type Member struct {
	URL     string // for clients
	cluster *Cluster
	name    string
	peer    string
	data    string
	args    []string
	cmd     *exec.Cmd
	log     bytes.Buffer
}

// Programs returns the folder with etcd, etcdctl and etcdutl; without them the
// test is skipped, or fails where nothing may be.
func Programs(t testing.TB) string {
	t.Helper()
	return filepath.Join(needs.Peer(t, "trixie-etcd"), "usr/bin")
}

// Start starts a cluster of so many members, which ends with the test. Its files
// are in memory where the system has a place for that.
func Start(t testing.TB, members int, args ...string) *Cluster {
	t.Helper()
	return start(t, members, "http://", nil, args...)
}

// StartOn starts a cluster of a member on each of some disks.
func StartOn(t testing.TB, disks ...*Disk) *Cluster {
	t.Helper()
	Programs(t)
	c := newCluster(t, len(disks), "http://")
	for i, m := range c.Members {
		m.data = filepath.Join(disks[i].Dir, "data")
	}
	// Nothing of a member that hangs in a write can be taken away.
	t.Cleanup(func() {
		for _, d := range disks {
			d.Hang(false)
		}
		c.Stop()
	})
	c.begin()
	return c
}

func start(t testing.TB, members int, scheme string, client *tls.Config, args ...string) *Cluster {
	t.Helper()
	Programs(t)
	dir, err := os.MkdirTemp("/dev/shm", "etcd")
	if err != nil {
		dir = t.TempDir()
	}
	c := newCluster(t, members, scheme)
	c.tls = client
	t.Cleanup(func() { c.Stop(); os.RemoveAll(dir) })
	for i, m := range c.Members {
		m.data, m.args = filepath.Join(dir, fmt.Sprintf("data%d", i)), args
	}
	c.begin()
	return c
}

func newCluster(t testing.TB, members int, scheme string) *Cluster {
	c := &Cluster{t: t, token: "first"}
	for i := range members {
		c.Members = append(c.Members, &Member{cluster: c, name: fmt.Sprintf("m%d", i), URL: scheme + freeAddress(t),
			peer: "http://" + freeAddress(t)})
	}
	return c
}

// begin starts all members for the first time.
func (c *Cluster) begin() {
	c.t.Helper()
	for _, m := range c.Members {
		m.Start("new")
	}
	c.Ready()
}

// Leader returns the member that leads, and those that follow it.
func (c *Cluster) Leader() (leader *Member, others []*Member) {
	c.t.Helper()
	k := c.Client()
	defer k.Close()
	for _, m := range c.Members {
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		r, err := k.Status(ctx, m.URL)
		cancel()
		if err == nil && r.Leader == r.Header.MemberId {
			leader = m
		} else {
			others = append(others, m)
		}
	}
	if leader == nil {
		c.t.Fatal("no member leads")
	}
	return leader, others
}

func freeAddress(t testing.TB) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// Start starts the process.
func (m *Member) Start(state string) {
	c := m.cluster
	var all []string
	for _, o := range c.Members {
		all = append(all, o.name+"="+o.peer)
	}
	args := append([]string{"--name", m.name, "--data-dir", m.data, "--listen-client-urls", m.URL, "--advertise-client-urls", m.URL,
		"--listen-peer-urls", m.peer, "--initial-advertise-peer-urls", m.peer, "--initial-cluster", strings.Join(all, ","),
		"--initial-cluster-state", state, "--initial-cluster-token", c.token, "--heartbeat-interval", "100", "--election-timeout", "1000",
		"--log-level", "warn"}, m.args...)
	m.cmd = exec.Command(filepath.Join(Programs(c.t), "etcd"), args...)
	m.cmd.Stdout, m.cmd.Stderr = &m.log, &m.log
	m.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := m.cmd.Start(); err != nil {
		c.t.Fatal(err)
	}
}

// Signal sends one, such as SIGSTOP.
func (m *Member) Signal(s syscall.Signal) {
	if err := m.cmd.Process.Signal(s); err != nil {
		m.cluster.t.Fatal(err)
	}
}

// Kill ends the process at once.
func (m *Member) Kill() {
	if m.cmd != nil {
		_ = m.cmd.Process.Kill()
		_ = m.cmd.Wait()
		m.cmd = nil
	}
}

// Stop ends all.
func (c *Cluster) Stop() {
	for _, m := range c.Members {
		m.Kill()
	}
}

// URLs are those of all members.
func (c *Cluster) URLs() (list []string) {
	for _, m := range c.Members {
		list = append(list, m.URL)
	}
	return list
}

// Client returns one of the test's own.
func (c *Cluster) Client() *clientv3.Client {
	c.t.Helper()
	k, err := clientv3.New(clientv3.Config{Endpoints: c.URLs(), DialTimeout: 5 * time.Second, TLS: c.tls, Logger: zap.NewNop()})
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() { k.Close() })
	return k
}

// Ready waits until requests are answered.
func (c *Cluster) Ready() {
	c.t.Helper()
	k := c.Client()
	defer k.Close()
	for end := time.Now().Add(30 * time.Second); ; {
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		_, err := k.Get(ctx, "ready")
		cancel()
		if err == nil {
			return
		}
		if time.Now().After(end) {
			c.t.Fatalf("etcd does not answer: %v\n%s", err, c.Members[0].log.String())
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// Snapshot takes a backup.
func (c *Cluster) Snapshot(file string) {
	c.run("etcdctl", "--endpoints", c.Members[0].URL, "snapshot", "save", file)
}

// Restore ends all members and starts them with what a backup has. With the same
// token the cluster calls itself as before.
func (c *Cluster) Restore(file string) {
	c.Stop()
	var all []string
	for _, m := range c.Members {
		all = append(all, m.name+"="+m.peer)
	}
	for _, m := range c.Members {
		if err := os.RemoveAll(m.data); err != nil {
			c.t.Fatal(err)
		}
		c.run("etcdutl", "snapshot", "restore", file, "--name", m.name, "--data-dir", m.data, "--initial-cluster", strings.Join(all, ","),
			"--initial-cluster-token", c.token, "--initial-advertise-peer-urls", m.peer)
	}
	for _, m := range c.Members {
		m.Start("existing")
	}
	c.Ready()
}

func (c *Cluster) run(program string, args ...string) {
	c.t.Helper()
	cmd := exec.Command(filepath.Join(Programs(c.t), program), args...)
	if out, err := cmd.CombinedOutput(); err != nil {
		c.t.Fatalf("%s %v: %v\n%s", program, args, err, out)
	}
}

// Config is a configuration of one of the named gateways, with short times.
func (c *Cluster) Config(name string, gateways ...string) config.Etcd {
	e := config.Default().Fleet.Etcd
	e.Endpoints, e.Name, e.Prefix = c.URLs(), name, "/site"
	e.Timeout, e.Lease, e.FactsInterval = 2*time.Second, 5*time.Second, 3*time.Second
	for _, g := range gateways {
		e.Gateways = append(e.Gateways, config.Gateway{Name: g})
	}
	return e
}

// Path is a way to a member that can be cut.
type Path struct {
	URL    string
	target string

	mu    sync.Mutex
	cut   bool
	pairs []net.Conn
}

// Path makes one.
func (m *Member) Path() *Path {
	t := m.cluster.t
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &Path{URL: "http://" + l.Addr().String(), target: strings.TrimPrefix(m.URL, "http://")}
	t.Cleanup(func() { l.Close(); p.Cut(true) })
	go func() {
		for {
			a, err := l.Accept()
			if err != nil {
				return
			}
			go p.carry(a)
		}
	}()
	return p
}

// Cut lets nothing through any more, or something again. What was open hangs, as
// behind a broken switch, until it is mended: then it is reset.
func (p *Path) Cut(cut bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cut = cut
	if !cut {
		for _, c := range p.pairs {
			c.Close()
		}
		p.pairs = nil
	}
}

func (p *Path) open() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return !p.cut
}

func (p *Path) carry(a net.Conn) {
	p.mu.Lock()
	p.pairs = append(p.pairs, a)
	p.mu.Unlock()
	b, err := net.Dial("tcp", p.target)
	if err != nil {
		a.Close()
		return
	}
	p.mu.Lock()
	p.pairs = append(p.pairs, b)
	p.mu.Unlock()
	move := func(to, from net.Conn) {
		buf := make([]byte, 64<<10)
		for {
			n, err := from.Read(buf)
			if err == nil && p.open() {
				_, err = to.Write(buf[:n])
			}
			if err != nil {
				to.Close()
				return
			}
		}
	}
	go move(a, b)
	move(b, a)
}
