package server

import (
	"bufio"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Sharer is a socket of another program that gets packets of one of our
// addresses: with SO_REUSEPORT the kernel lets a program of the same user have
// the port too, and tells nobody.
type Sharer struct {
	Local   netip.AddrPort
	Inode   uint64
	Process string // such as "chronyd (process 71)"; empty: not found
}

// String names the program.
func (s Sharer) String() string {
	if s.Process == "" {
		return fmt.Sprintf("another program (socket %d on %v; ss -lnup shows which)", s.Inode, s.Local)
	}
	return s.Process
}

// sharers looks at /proc/net, which has the sockets of our network namespace.
// What cannot be read has none.
func sharers(addresses []netip.AddrPort) (found []Sharer) {
	for _, name := range []string{"/proc/thread-self/net/udp", "/proc/thread-self/net/udp6"} {
		f, err := os.Open(name)
		if err != nil {
			continue
		}
		for _, k := range udpSockets(f) {
			if slices.ContainsFunc(addresses, func(a netip.AddrPort) bool { return overlap(a, k.Local) }) {
				found = append(found, k)
			}
		}
		f.Close()
	}
	if len(found) == 0 {
		return nil
	}
	own := openInodes("/proc/self/fd")
	found = slices.DeleteFunc(found, func(k Sharer) bool { return own[k.Inode] })
	for i := range found {
		found[i].Process = processOf(found[i].Inode)
	}
	slices.SortFunc(found, func(a, b Sharer) int { return a.Local.Compare(b.Local) })
	return found
}

// overlap reports whether two sockets can get the same packets.
func overlap(a, b netip.AddrPort) bool {
	x, y := a.Addr().WithZone(""), b.Addr().WithZone("")
	return a.Port() == b.Port() && x.Is4() == y.Is4() && (x == y || x.IsUnspecified() || y.IsUnspecified())
}

// udpSockets reads a table such as /proc/net/udp (proc(5)): local address in
// the second column, inode in the tenth. Lines that are something else are
// passed over.
func udpSockets(r io.Reader) (list []Sharer) {
	for lines := bufio.NewScanner(r); lines.Scan(); {
		f := strings.Fields(lines.Text())
		if len(f) < 10 {
			continue
		}
		local, ok := procAddress(f[1])
		inode, err := strconv.ParseUint(f[9], 10, 64)
		if ok && err == nil {
			list = append(list, Sharer{Local: local, Inode: inode})
		}
	}
	return list
}

// procAddress reads an address as /proc/net has it: words of 32 bits in the
// machine's order, and a port.
func procAddress(s string) (netip.AddrPort, bool) {
	address, port, _ := strings.Cut(s, ":")
	b, err := hex.DecodeString(address)
	n, portErr := strconv.ParseUint(port, 16, 16)
	if err != nil || portErr != nil || len(b) != 4 && len(b) != 16 {
		return netip.AddrPort{}, false
	}
	for i := 0; i < len(b); i += 4 {
		binary.NativeEndian.PutUint32(b[i:], binary.BigEndian.Uint32(b[i:]))
	}
	a, _ := netip.AddrFromSlice(b)
	return netip.AddrPortFrom(a, uint16(n)), true
}

// openInodes are the sockets of a process, by its directory of descriptors.
func openInodes(dir string) map[uint64]bool {
	inodes := make(map[uint64]bool)
	names, _ := os.ReadDir(dir)
	for _, e := range names {
		link, err := os.Readlink(filepath.Join(dir, e.Name()))
		number, ok := strings.CutPrefix(link, "socket:[")
		if err != nil || !ok {
			continue
		}
		if inode, err := strconv.ParseUint(strings.TrimSuffix(number, "]"), 10, 64); err == nil {
			inodes[inode] = true
		}
	}
	return inodes
}

// processOf finds who has a socket; empty: nobody that we may look at.
func processOf(inode uint64) string {
	dirs, _ := filepath.Glob("/proc/[0-9]*/fd")
	for _, dir := range dirs {
		if !openInodes(dir)[inode] {
			continue
		}
		process := filepath.Dir(dir)
		name, _ := os.ReadFile(filepath.Join(process, "comm"))
		return fmt.Sprintf("%s (process %s)", strings.TrimSpace(string(name)), filepath.Base(process))
	}
	return ""
}
