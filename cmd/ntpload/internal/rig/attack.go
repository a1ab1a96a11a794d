//go:build linux

package rig

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/netip"
	"os"
)

// Attack starts a server in a namespace and this program, as "attack --inside"
// with the given flags, in another, whose output goes to out. With a root of a
// real ntpd two more namespaces are for clients that are such.
func Attack(ctx context.Context, spec Spec, flags []string, ntpd string, out, said io.Writer) error {
	if err := tools(); err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	m, err := newMaterial()
	if err != nil {
		return err
	}
	n, err := newNetwork(ctx, os.Getpid())
	if err != nil {
		return err
	}
	defer n.close()
	if ntpd != "" {
		flags = append(flags, "--ntpd", ntpd)
		for _, from := range NTPDAddresses {
			namespace, err := n.client(ctx, os.Getpid(), from)
			if err != nil {
				return err
			}
			flags = append(flags, "--ntpd-in", namespace)
		}
	}
	u, err := spec.prepare(m, n.links[0], self)
	if err != nil {
		return err
	}
	defer u.remove()
	s := &side{}
	defer s.stop()
	s.server = child(ctx, append([]string{"ip", "netns", "exec", u.namespace}, u.command...), &s.serverSaid)
	s.server.Stdout = &s.serverSaid
	if err := s.server.Start(); err != nil {
		return err
	}
	words := append([]string{"ip", "netns", "exec", n.generator, self, "attack", "--inside", u.addr.String(), "--dir", u.dir, "--from",
		clients.String()}, flags...)
	var errors bytes.Buffer
	attacker := child(ctx, words, io.MultiWriter(said, &errors))
	attacker.Stdout = out
	if err := attacker.Run(); err != nil {
		return fmt.Errorf("%w: %s\nthe server said:\n%s", err, bytes.TrimSpace(errors.Bytes()), s.lastWords())
	}
	return nil
}

// Material of the rig as the attacker finds it in its directory.
const (
	KeysFile   = keysFile
	CertFile   = certFile
	ServerName = serverName
	KeyID      = 3 // SHA256
)

// NTPDAddresses are those of clients that are a real ntpd.
var NTPDAddresses = [2]netip.Addr{netip.MustParseAddr("10.88.129.1"), netip.MustParseAddr("10.88.129.2")}
