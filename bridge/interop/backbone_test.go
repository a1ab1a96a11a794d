package interop

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
)

// Backbone is a second Ethernet of some hosts of a Network, which can be split in
// two while the first one stays whole.
type Backbone struct {
	n     *Network
	hosts []*Host
}

// Backbone makes one; what is on it has further addresses there.
func (n *Network) Backbone(hosts ...*Host) *Backbone {
	n.t.Helper()
	b := &Backbone{n, hosts}
	batch := ""
	for _, name := range []string{"back", "apart"} {
		batch += fmt.Sprintf("link add %s type bridge forward_delay 0 mcast_snooping 0\nlink set %s up\n", name, name)
	}
	for i, h := range hosts {
		batch += fmt.Sprintf("link add %s type veth peer name eth1 netns %d\nlink set %s master back up\n", b.port(i), h.anchor.Process.Pid,
			b.port(i))
	}
	n.must(n.wire.Do(func() error { return ip(batch) }))
	for _, h := range hosts {
		n.must(h.Do(func() error { return ip(fmt.Sprintf("addr add %s/24 dev eth1\nlink set eth1 up\n", b.Addr(h))) }))
	}
	return b
}

func (b *Backbone) port(i int) string { return fmt.Sprintf("back%d", i) }

// Addr is the address of a host on it.
func (b *Backbone) Addr(h *Host) netip.Addr {
	return netip.AddrFrom4([4]byte{10, 124, 0, byte(1 + slices.Index(b.hosts, h))})
}

// Split lets some hosts see one another and none of the others; of nobody: all see
// all again.
func (b *Backbone) Split(apart ...*Host) {
	b.n.t.Helper()
	batch := ""
	for i, h := range b.hosts {
		bridge := "back"
		if slices.Contains(apart, h) {
			bridge = "apart"
		}
		batch += fmt.Sprintf("link set %s master %s\n", b.port(i), bridge)
	}
	b.n.must(b.n.wire.Do(func() error { return ip(batch) }))
}

// etcds are the members of an etcd on hosts of a backbone.
type etcds struct {
	t     *testing.T
	hosts []*Host
	urls  []string
}

// startEtcds starts one of a member on each host.
func startEtcds(t *testing.T, b *Backbone, hosts ...*Host) *etcds {
	t.Helper()
	e := &etcds{t: t, hosts: hosts}
	all := ""
	for _, h := range hosts {
		e.urls = append(e.urls, fmt.Sprintf("http://%s:2379", b.Addr(h)))
		all += fmt.Sprintf("%s=http://%s:2380,", h.Name, b.Addr(h))
	}
	for i, h := range hosts {
		peer := fmt.Sprintf("http://%s:2380", b.Addr(h))
		h.Start("etcd", Etcd, "--name", h.Name, "--data-dir", "/mnt/etcd", "--initial-cluster", strings.TrimSuffix(all, ","),
			"--listen-client-urls", e.urls[i], "--advertise-client-urls", e.urls[i],
			"--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer, "--log-level", "error")
	}
	return e
}
