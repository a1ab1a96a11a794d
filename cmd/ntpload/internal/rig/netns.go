//go:build linux

package rig

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os/exec"
	"strings"
)

// clients are the source addresses of the generator.
var clients = netip.MustParsePrefix("10.88.128.0/17")

// link is one server's namespace and its veth pair to the generator.
type link struct {
	namespace string
	addr      netip.Addr // of the server
}

// network is a namespace for each of two servers, each joined by a veth pair
// to the generator's.
type network struct {
	generator string
	links     [2]link
	clients   []string // namespaces of clients with a link of their own
}

// newNetwork makes the namespaces; what it made when it failed is gone.
func newNetwork(ctx context.Context, id int) (*network, error) {
	n := &network{generator: fmt.Sprintf("nb-g%d", id)}
	lines := []string{
		"netns add " + n.generator,
		"-n " + n.generator + " link set lo up",
		"-n " + n.generator + " route add local " + clients.String() + " dev lo",
	}
	for i := range n.links {
		server := netip.AddrFrom4([4]byte{10, 88, byte(i), 1})
		near := server.Next()
		name := fmt.Sprintf("nb-%c%d", 'a'+i, id)
		device := fmt.Sprintf("nb%d", i)
		n.links[i] = link{name, server}
		lines = append(lines,
			"netns add "+name,
			"-n "+name+" link add nb0 type veth peer name "+device+" netns "+n.generator,
			"-n "+name+" addr add "+server.String()+"/24 dev nb0",
			"-n "+n.generator+" addr add "+near.String()+"/24 dev "+device,
			"-n "+name+" link set lo up",
			"-n "+name+" link set nb0 up",
			"-n "+n.generator+" link set "+device+" up",
			"-n "+name+" route add "+clients.String()+" via "+near.String(),
		)
	}
	for _, line := range lines {
		if err := ip(ctx, line); err != nil {
			n.close()
			return nil, err
		}
	}
	return n, nil
}

// client makes a namespace with an address of the generator's prefix, joined
// to the first server. What the generator sends from the same address is forged.
func (n *network) client(ctx context.Context, id int, from netip.Addr) (namespace string, err error) {
	number := len(n.clients)
	namespace = fmt.Sprintf("nb-c%d-%d", number, id)
	n.clients = append(n.clients, namespace)
	server, device := n.links[0], fmt.Sprintf("nbc%d", number)
	for _, line := range []string{
		"netns add " + namespace,
		"-n " + server.namespace + " link add " + device + " type veth peer name nb0 netns " + namespace,
		"-n " + server.namespace + " link set " + device + " up",
		"-n " + server.namespace + " route add " + from.String() + "/32 dev " + device,
		"-n " + namespace + " link set lo up",
		"-n " + namespace + " addr add " + from.String() + "/32 dev nb0",
		"-n " + namespace + " link set nb0 up",
		"-n " + namespace + " route add " + server.addr.String() + "/32 dev nb0 src " + from.String(),
	} {
		if err := ip(ctx, line); err != nil {
			return namespace, err
		}
	}
	return namespace, nil
}

// close deletes the namespaces, and the links with them.
func (n *network) close() {
	for _, name := range append([]string{n.generator, n.links[0].namespace, n.links[1].namespace}, n.clients...) {
		if name != "" {
			_ = ip(context.Background(), "netns del "+name)
		}
	}
}

func ip(ctx context.Context, line string) error {
	out, err := exec.CommandContext(ctx, "ip", strings.Fields(line)...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("ip %s: %w: %s (the rig needs root and iproute2)", line, err, strings.TrimSpace(string(out)))
	}
	return nil
}

// prefix returns the words that run a command in a namespace on one core,
// before all other processes if first is set.
func prefix(namespace string, core int, first bool) []string {
	words := []string{"ip", "netns", "exec", namespace, "taskset", "-c", fmt.Sprint(core)}
	if first {
		words = append(words, "chrt", "--fifo", "1")
	}
	return words
}

// tools checks that the programs the rig calls are installed.
func tools() error {
	var missing []error
	for _, name := range []string{"ip", "taskset", "chrt", "setpriv"} {
		if _, err := exec.LookPath(name); err != nil {
			missing = append(missing, fmt.Errorf("%s is not installed (iproute2 and util-linux have what is needed)", name))
		}
	}
	return errors.Join(missing...)
}
