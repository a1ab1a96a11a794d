//go:build linux

package rig

import (
	"encoding/binary"
	"net"
	"net/netip"
	"testing"

	"ntsbridge/bridge/needs"

	"github.com/cilium/ebpf"
)

// The programs of a flood are taken by the kernel, and what the sender writes is
// a request whose checksum holds for every source.
func TestFloodPrograms(t *testing.T) {
	counts, err := ebpf.NewMap(&ebpf.MapSpec{Type: ebpf.Array, KeySize: 4, ValueSize: 8, MaxEntries: 3})
	if err != nil {
		needs.Missing(t, "%v", err)
	}
	defer counts.Close()
	mac := net.HardwareAddr{2, 0, 0, 0, 0, 1}
	frame := floodFrame(mac, mac, netip.MustParseAddr("10.88.0.1"))
	sender, err := ebpf.NewProgram(&ebpf.ProgramSpec{Type: ebpf.XDP, License: "MIT", Instructions: sendRequests(counts, 1, frame)})
	if err != nil {
		t.Fatal(err)
	}
	defer sender.Close()
	counter, err := ebpf.NewProgram(&ebpf.ProgramSpec{Type: ebpf.XDP, License: "MIT", Instructions: countAnswers(counts)})
	if err != nil {
		t.Fatal(err)
	}
	defer counter.Close()
	sources := map[byte]bool{}
	for range 300 {
		out := make([]byte, floodLen)
		const redirect = 4
		if got, err := sender.Run(&ebpf.RunOptions{Data: make([]byte, floodLen), DataOut: out}); err != nil || got != redirect {
			t.Fatalf("the sender returns %d: %v", got, err)
		}
		sum := uint32(0)
		for i := 14; i < 34; i += 2 {
			sum += uint32(binary.BigEndian.Uint16(out[i:]))
		}
		if sum>>16+sum&0xffff != 0xffff || out[42] != 0x23 || out[floodPort+3] != 123 {
			t.Fatalf("no good request: % x", out)
		}
		sources[out[floodSource+1]] = true
		answer := append([]byte(nil), out...)
		answer[floodPort], answer[floodPort+1], answer[42] = 0, 123, 0x24
		if got, err := counter.Run(&ebpf.RunOptions{Data: answer}); err != nil || got != xdpDrop {
			t.Fatalf("the counter returns %d: %v", got, err)
		}
		if got, err := counter.Run(&ebpf.RunOptions{Data: out}); err != nil || got != xdpPass {
			t.Fatalf("the counter returns %d for a request: %v", got, err)
		}
	}
	var n uint64
	if err := counts.Lookup(uint32(0), &n); err != nil || n != 300 {
		t.Errorf("%d answers counted: %v", n, err)
	}
	if len(sources) < floodSources/2 {
		t.Errorf("%d sources", len(sources))
	}
}
