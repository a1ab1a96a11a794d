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

// Addresses of the rig: the link, and the clients behind it.
var (
	serverAddr = netip.MustParseAddr("10.88.0.1")
	clientAddr = netip.MustParseAddr("10.88.0.2")
	clients    = netip.MustParsePrefix("10.88.128.0/17")
)

// network is two network namespaces joined by a veth pair.
type network struct {
	server, client string // namespaces
}

// newNetwork makes the namespaces; what it made when it failed is gone.
func newNetwork(ctx context.Context, id int) (*network, error) {
	n := &network{fmt.Sprintf("nb-s%d", id), fmt.Sprintf("nb-c%d", id)}
	for _, line := range []string{
		"netns add " + n.server,
		"netns add " + n.client,
		"-n " + n.server + " link add nb0 type veth peer name nb1 netns " + n.client,
		"-n " + n.server + " addr add " + serverAddr.String() + "/24 dev nb0",
		"-n " + n.client + " addr add " + clientAddr.String() + "/24 dev nb1",
		"-n " + n.server + " link set lo up",
		"-n " + n.client + " link set lo up",
		"-n " + n.server + " link set nb0 up",
		"-n " + n.client + " link set nb1 up",
		"-n " + n.server + " route add " + clients.String() + " via " + clientAddr.String(),
		"-n " + n.client + " route add local " + clients.String() + " dev lo",
	} {
		if err := ip(ctx, line); err != nil {
			n.close()
			return nil, err
		}
	}
	return n, nil
}

// close deletes the namespaces, and the link with them.
func (n *network) close() {
	ctx := context.Background()
	_ = ip(ctx, "netns del "+n.server)
	_ = ip(ctx, "netns del "+n.client)
}

func ip(ctx context.Context, line string) error {
	out, err := exec.CommandContext(ctx, "ip", strings.Fields(line)...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("ip %s: %w: %s (the rig needs root and iproute2)", line, err, strings.TrimSpace(string(out)))
	}
	return nil
}

// prefix returns the words that run a command in a namespace on one core.
func prefix(namespace string, core, nice int) []string {
	words := []string{"ip", "netns", "exec", namespace, "taskset", "-c", fmt.Sprint(core)}
	if nice != 0 {
		words = append(words, "nice", "-n", fmt.Sprint(nice))
	}
	return words
}

// tools checks that the programs the rig calls are installed.
func tools() error {
	var missing []error
	for _, name := range []string{"ip", "taskset", "nice", "setpriv"} {
		if _, err := exec.LookPath(name); err != nil {
			missing = append(missing, fmt.Errorf("%s is not installed (iproute2, util-linux and coreutils have what is needed)", name))
		}
	}
	return errors.Join(missing...)
}
