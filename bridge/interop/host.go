package interop

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// Network is one Ethernet with hosts on it, cut off from the machine's own
// networks. Make hosts before any daemon starts: each host's file of names
// has all of them.
type Network struct {
	t     testing.TB
	peers *Peers
	dir   string
	wire  *Host
	hosts []*Host
}

// Host is one machine of a Network. It has one IPv4 and one IPv6 address.
type Host struct {
	Name string // host name
	IPv4 netip.Addr
	IPv6 netip.Addr
	// Dir is the host's scratch directory. Programs in a Program.Root see it
	// as /mnt: see Path.
	Dir string

	t      testing.TB
	peers  *Peers
	anchor *exec.Cmd // process 1 of the host
	shared bool      // see Share
}

// NewNetwork makes an empty network; it goes away with the test. It skips the
// test, or fails it, if the machine lacks what is needed (see RequirePeers).
func NewNetwork(t testing.TB) *Network {
	t.Helper()
	n := &Network{t: t, peers: RequirePeers(t), dir: t.TempDir()}
	n.wire = n.start("wire")
	n.must(n.wire.Do(func() error {
		return ip("link add wire type bridge forward_delay 0 mcast_snooping 0\nlink set wire up\n")
	}))
	return n
}

// Host adds a host, up and reachable, with the next free addresses.
func (n *Network) Host(name string) *Host {
	n.t.Helper()
	h := n.start(name)
	n.hosts = append(n.hosts, h)
	number := len(n.hosts)
	h.IPv4 = netip.AddrFrom4([4]byte{10, 123, 0, byte(number)})
	h.IPv6 = netip.MustParseAddr(fmt.Sprintf("fd12:3::%x", number))
	n.must(n.wire.Do(func() error {
		return ip(fmt.Sprintf("link add port%d type veth peer name eth0 netns %d\nlink set port%d master wire up\n",
			number, h.anchor.Process.Pid, number))
	}))
	n.must(h.Do(func() error {
		return ip(fmt.Sprintf("addr add %s/24 dev eth0\naddr add %s/64 dev eth0 nodad\nlink set eth0 up\n", h.IPv4, h.IPv6))
	}))
	return h
}

// Alias gives h one more IPv4 and IPv6 address under a name of its own.
func (n *Network) Alias(h *Host, name string) *Host {
	n.t.Helper()
	alias := *h
	alias.Name = name
	number := len(n.hosts) + 1
	alias.IPv4 = netip.AddrFrom4([4]byte{10, 123, 0, byte(number)})
	alias.IPv6 = netip.MustParseAddr(fmt.Sprintf("fd12:3::%x", number))
	n.hosts = append(n.hosts, &alias)
	n.must(h.Do(func() error {
		return ip(fmt.Sprintf("addr add %s/24 dev eth0\naddr add %s/64 dev eth0 nodad\n", alias.IPv4, alias.IPv6))
	}))
	return &alias
}

// Names writes every host's file of names; call it when all hosts are there.
func (n *Network) Names() {
	n.t.Helper()
	var names strings.Builder
	fmt.Fprintln(&names, "127.0.0.1 localhost")
	for _, h := range n.hosts {
		fmt.Fprintln(&names, h.IPv4, h.Name)
	}
	for _, h := range n.hosts {
		// In place: the file is mounted over /etc/hosts.
		n.must(os.WriteFile(filepath.Join(h.Dir, "hosts"), []byte(names.String()), 0o644))
	}
}

// prepare makes the inside of a host: its first process runs it with name,
// scratch directory and the roots of the peers as arguments, and stays until
// its standard input is closed.
const prepare = `set -e
mount --make-rprivate /
mount -t proc proc /proc
echo "$1" >/proc/sys/kernel/hostname
ip link set lo up
mount --bind "$2/hosts" /etc/hosts
dir=$2
shift 2
for root; do
	mount --bind /dev "$root/dev"
	mount -t proc proc "$root/proc"
	mount --bind "$dir" "$root/mnt"
	mount -t tmpfs tmpfs "$root/run"
	mount --bind "$dir/hosts" "$root/etc/hosts"
done
echo ready
exec cat`

// start makes the namespaces of a host without any network in them.
func (n *Network) start(name string) *Host {
	n.t.Helper()
	h := &Host{Name: name, Dir: filepath.Join(n.dir, name), t: n.t, peers: n.peers}
	n.must(os.Mkdir(h.Dir, 0o700))
	n.must(os.WriteFile(filepath.Join(h.Dir, "hosts"), []byte("127.0.0.1 localhost\n"), 0o644))
	h.anchor = exec.Command("/bin/sh", append([]string{"-c", prepare, "sh", name, h.Dir}, n.peers.roots()...)...)
	h.anchor.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: unix.CLONE_NEWNET | unix.CLONE_NEWUTS | unix.CLONE_NEWPID | unix.CLONE_NEWNS,
	}
	// When this process ends, however it ends, the pipe closes, process 1 of
	// the host ends, and the kernel ends and removes the rest.
	hold, err := h.anchor.StdinPipe()
	n.must(err)
	var complaints strings.Builder
	h.anchor.Stderr = &complaints
	ready, err := h.anchor.StdoutPipe()
	n.must(err)
	n.must(h.anchor.Start())
	n.t.Cleanup(func() {
		hold.Close()
		h.anchor.Wait()
	})
	if line, err := io.ReadAll(io.LimitReader(ready, 6)); err != nil || string(line) != "ready\n" {
		hold.Close()
		h.anchor.Wait()
		n.t.Fatalf("host %s: %s (needs root with all capabilities)", name, complaints.String())
	}
	return h
}

func (n *Network) must(err error) {
	n.t.Helper()
	if err != nil {
		n.t.Fatal(err)
	}
}

// Path returns how program sees a file of the host's scratch directory.
func (h *Host) Path(p Program, file string) string {
	if p.Root != "" {
		return filepath.Join("/mnt", file)
	}
	return filepath.Join(h.Dir, file)
}

// Write writes a file of the scratch directory, secret or not readable by the
// owner only.
func (h *Host) Write(file, content string) {
	h.t.Helper()
	name := filepath.Join(h.Dir, file)
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		h.t.Fatal(err)
	}
	err := os.WriteFile(name, []byte(content), 0o600)
	if err == nil && h.shared {
		err = errors.Join(h.share(filepath.Dir(name)), h.share(name))
	}
	if err != nil {
		h.t.Fatal(err)
	}
}

// Do runs f on a thread that is in the host's network: sockets that f opens
// belong to the host, also after f.
func (h *Host) Do(f func() error) error {
	return h.inside(f, "net")
}

// inside runs f on a thread that entered the given namespaces of the host and
// that ends with f.
func (h *Host) inside(f func() error, namespaces ...string) error {
	result := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		result <- func() error {
			if err := unix.Unshare(unix.CLONE_FS); err != nil { // for the mounts
				return fmt.Errorf("unshare: %w", err)
			}
			for _, name := range namespaces {
				fd, err := unix.Open(fmt.Sprintf("/proc/%d/ns/%s", h.anchor.Process.Pid, name), unix.O_RDONLY|unix.O_CLOEXEC, 0)
				if err != nil {
					return fmt.Errorf("host %s is gone: %w", h.Name, err)
				}
				err = unix.Setns(fd, 0)
				unix.Close(fd)
				if err != nil {
					return fmt.Errorf("enter %s of host %s: %w", name, h.Name, err)
				}
			}
			return f()
		}()
	}()
	return <-result
}

// command prepares a program that start will run in the host.
func (h *Host) command(ctx context.Context, p Program, args []string) *exec.Cmd {
	self, err := os.Executable()
	if err != nil {
		h.t.Fatal(err)
	}
	plan := execPlan{
		Dir: h.Path(p, p.Dir), FakeClock: p.FakeClock, SetsClock: p.SetsClock, User: p.User, Argv: append([]string{p.Path}, args...),
	}
	if user := os.Getenv(userVariable); user != "" && p.Root == "" && serves(p, args) {
		h.Share()
		plan.Environment = []string{"NTSBRIDGE_USER=" + user}
	}
	if p.Root != "" {
		plan.Root = h.peers.root(p.Root)
	}
	encoded, err := json.Marshal(plan)
	if err != nil {
		h.t.Fatal(err)
	}
	cmd := exec.CommandContext(ctx, self)
	cmd.Env = []string{execVariable + "=" + string(encoded)}
	return cmd
}

// start starts cmd in all namespaces of the host. Processes first: after the
// mounts were entered, /proc shows the host's own.
func (h *Host) start(cmd *exec.Cmd) error {
	return h.inside(cmd.Start, "pid", "uts", "net", "mnt")
}

// Output runs a program to its end and returns what it printed to standard
// output; the error has what it printed to standard error.
func (h *Host) Output(ctx context.Context, p Program, args ...string) (string, error) {
	cmd := h.command(ctx, p, args)
	var out, complaints strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &complaints
	err := h.start(cmd)
	if err == nil {
		err = cmd.Wait()
	}
	if err != nil {
		return out.String(), fmt.Errorf("%s on %s: %w: %s%s", filepath.Base(p.Path), h.Name, err, complaints.String(), out.String())
	}
	return out.String(), nil
}

// ip runs a batch of iproute2 commands in the network of the calling thread.
func ip(batch string) error {
	cmd := exec.Command("ip", "-batch", "-")
	cmd.Stdin = strings.NewReader(batch)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("ip: %w: %s", err, out)
	}
	return nil
}
