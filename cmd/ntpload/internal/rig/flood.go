//go:build linux

package rig

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"runtime"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	bpflink "github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"
)

// What XDP programs return.
const xdpDrop = 1

// liveFrames makes a test run send real frames (BPF_F_TEST_XDP_LIVE_FRAMES).
const liveFrames = 1 << 1

// Of the flood: how many sources it has, and how often a call runs the program,
// half a second or so, since a call takes 30 ms to begin. A run that is not due
// takes less than one that sends.
const (
	floodSources = 32
	floodPaced   = 3_000_000
	floodFast    = 500_000
	floodBatch   = 64
)

// flood sends requests as fast as the kernel makes them, by a program of XDP
// that writes each frame, and counts answers by another one that drops them.
type flood struct {
	sender  *ebpf.Program
	counter *ebpf.Program
	counts  *ebpf.Map // answers, when the next frame is due, and the time between two, ns
	link    bpflink.Link
	call    uint32 // runs of the sender in a call
}

// inNamespace runs f on a thread of its own in a namespace and on a core; a
// negative core is any.
func inNamespace(namespace string, core int, first bool, f func() error) error {
	result := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		result <- func() error {
			fd, err := unix.Open("/run/netns/"+namespace, unix.O_RDONLY|unix.O_CLOEXEC, 0)
			if err != nil {
				return err
			}
			defer unix.Close(fd)
			if err := unix.Setns(fd, unix.CLONE_NEWNET); err != nil {
				return err
			}
			if core >= 0 {
				var set unix.CPUSet
				set.Set(core)
				if err := unix.SchedSetaffinity(0, &set); err != nil {
					return err
				}
			}
			if first {
				if err := beforeOthers(0); err != nil {
					return err
				}
			}
			return f()
		}()
	}()
	if err := <-result; err != nil {
		return fmt.Errorf("in namespace %s: %w", namespace, err)
	}
	return nil
}

// beforeOthers lets a thread run before all of other processes; 0 is this one.
func beforeOthers(thread int) error {
	return unix.SchedSetAttr(thread, &unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_FIFO, Priority: 1}, 0)
}

// newFlood makes both programs, in the generator's namespace: device leads to
// the server, whose link-layer address is mac.
func newFlood(device string, mac net.HardwareAddr, server netip.Addr) (*flood, error) {
	i, err := net.InterfaceByName(device)
	if err != nil {
		return nil, err
	}
	f := &flood{call: floodFast / 100}
	if f.counts, err = ebpf.NewMap(&ebpf.MapSpec{Type: ebpf.Array, KeySize: 4, ValueSize: 8, MaxEntries: 3}); err != nil {
		return nil, err
	}
	if f.counter, err = ebpf.NewProgram(&ebpf.ProgramSpec{Type: ebpf.XDP, License: "MIT",
		Instructions: countAnswers(f.counts)}); err != nil {
		return nil, fmt.Errorf("counter: %w", err)
	}
	if f.sender, err = ebpf.NewProgram(&ebpf.ProgramSpec{Type: ebpf.XDP, License: "MIT",
		Instructions: sendRequests(f.counts, i.Index, floodFrame(i.HardwareAddr, mac, server))}); err != nil {
		return nil, fmt.Errorf("sender: %w", err)
	}
	f.link, err = bpflink.AttachXDP(bpflink.XDPOptions{Program: f.counter, Interface: i.Index, Flags: bpflink.XDPDriverMode})
	return f, err
}

func (f *flood) close() {
	for _, c := range []interface{ Close() error }{f.link, f.sender, f.counter, f.counts} {
		if c != nil {
			_ = c.Close()
		}
	}
}

// answers returns how many were counted so far.
func (f *flood) answers() (n uint64, err error) {
	err = f.counts.Lookup(uint32(0), &n)
	return n, err
}

// pace sets how many frames are sent in a second; 0: as many as can be.
func (f *flood) pace(rate int) error {
	interval := uint64(0)
	f.call = floodFast
	if rate > 0 {
		f.call, interval = floodPaced, uint64(time.Second)/uint64(rate)
	}
	return f.counts.Put(uint32(2), interval)
}

// send sends for a time, in the namespace of newFlood.
func (f *flood) send(d time.Duration) error {
	frame := make([]byte, floodLen)
	for begin := time.Now(); time.Since(begin) < d; {
		if _, err := f.sender.Run(&ebpf.RunOptions{Data: frame, Repeat: f.call, Flags: liveFrames, BatchSize: floodBatch}); err != nil {
			return fmt.Errorf("live frames: %w", err)
		}
	}
	return nil
}

// A request for time in Ethernet, IPv4 and UDP without a checksum.
const (
	floodLen    = 14 + 20 + 8 + 48
	floodID     = 18 // identification of IPv4
	floodSource = 28 // last two octets of its source
	floodPort   = 34
	floodStamp  = floodLen - 4
)

func floodFrame(from, to net.HardwareAddr, server netip.Addr) []byte {
	b := make([]byte, floodLen)
	copy(b, to)
	copy(b[6:], from)
	b[12] = 8
	ip := b[14:34]
	source := clients.Addr().As4()
	source[3] = 1
	to4 := server.As4()
	copy(ip, []byte{0x45, 0, 0, floodLen - 14, 0, floodSources, 0x40, 0, 64, 17, 0, 0})
	copy(ip[12:], source[:])
	copy(ip[16:], to4[:])
	sum := uint32(0)
	for i := 0; i < len(ip); i += 2 {
		sum += uint32(binary.BigEndian.Uint16(ip[i:]))
	}
	binary.BigEndian.PutUint16(ip[10:], ^uint16(sum>>16+sum&0xffff))
	copy(b[floodPort:], []byte{0x80, 0, 0, 123, 0, 56})
	b[42] = 4<<3 | 3
	return b
}

// entry looks up an entry of a map; without it the program goes to missing.
func entry(m *ebpf.Map, index int64, missing string) asm.Instructions {
	return asm.Instructions{
		asm.StoreImm(asm.RFP, -4, index, asm.Word),
		asm.Mov.Reg(asm.R2, asm.RFP),
		asm.Add.Imm(asm.R2, -4),
		asm.LoadMapPtr(asm.R1, m.FD()),
		asm.FnMapLookupElem.Call(),
		asm.JEq.Imm(asm.R0, 0, missing),
	}
}

// sendRequests writes the frame, which an answer may have been made of before,
// with a source and port of its own, and sends it to an interface when it is
// due. Source and identification change against each other, so that the
// header's checksum stays.
func sendRequests(counts *ebpf.Map, ifindex int, frame []byte) asm.Instructions {
	const behind = 100_000 // ns that are caught up
	in := asm.Instructions{asm.Mov.Reg(asm.R9, asm.R1)}
	in = append(in, entry(counts, 2, "drop")...)
	in = append(in, asm.LoadMem(asm.R8, asm.R0, 0, asm.DWord), asm.JEq.Imm(asm.R8, 0, "due"))
	in = append(in, entry(counts, 1, "drop")...)
	in = append(in,
		asm.Mov.Reg(asm.R7, asm.R0),
		asm.FnKtimeGetNs.Call(),
		asm.LoadMem(asm.R1, asm.R7, 0, asm.DWord),
		asm.JLT.Reg(asm.R0, asm.R1, "drop"),
		asm.Add.Reg(asm.R1, asm.R8),
		asm.Add.Imm(asm.R0, -behind),
		asm.JGT.Reg(asm.R1, asm.R0, "next"),
		asm.Mov.Reg(asm.R1, asm.R0),
		asm.StoreMem(asm.R7, 0, asm.R1, asm.DWord).WithSymbol("next"),
		asm.LoadMem(asm.R6, asm.R9, 0, asm.Word).WithSymbol("due"),
		asm.LoadMem(asm.R2, asm.R9, 4, asm.Word),
		asm.Mov.Reg(asm.R3, asm.R6),
		asm.Add.Imm(asm.R3, floodLen),
		asm.JGT.Reg(asm.R3, asm.R2, "drop"),
	)
	for i := 0; i+2 <= len(frame); i += 2 {
		in = append(in, asm.StoreImm(asm.R6, int16(i), int64(binary.NativeEndian.Uint16(frame[i:])), asm.Half))
	}
	return append(in,
		asm.FnGetPrandomU32.Call(),
		asm.StoreMem(asm.R6, floodStamp, asm.R0, asm.Half),
		asm.StoreMem(asm.R6, floodStamp+2, asm.R0, asm.Half),
		asm.Mov.Reg(asm.R1, asm.R0),
		asm.RSh.Imm(asm.R1, 8),
		asm.StoreMem(asm.R6, floodPort+1, asm.R1, asm.Byte),
		asm.And.Imm(asm.R0, floodSources-1),
		asm.Mov.Reg(asm.R1, asm.R0),
		asm.Add.Imm(asm.R1, 1),
		asm.StoreMem(asm.R6, floodSource+1, asm.R1, asm.Byte),
		asm.Mov.Imm(asm.R2, floodSources),
		asm.Sub.Reg(asm.R2, asm.R0),
		asm.StoreMem(asm.R6, floodID+1, asm.R2, asm.Byte),
		asm.Mov.Imm(asm.R1, int32(ifindex)),
		asm.Mov.Imm(asm.R2, 0),
		asm.FnRedirect.Call(),
		asm.Return(),
		asm.Mov.Imm(asm.R0, xdpDrop).WithSymbol("drop"),
		asm.Return(),
	)
}

// countAnswers drops UDP from port 123 and counts what is in mode 4; the rest,
// ARP above all, goes on.
func countAnswers(counts *ebpf.Map) asm.Instructions {
	in := asm.Instructions{
		asm.LoadMem(asm.R6, asm.R1, 0, asm.Word),
		asm.LoadMem(asm.R2, asm.R1, 4, asm.Word),
		asm.Mov.Reg(asm.R3, asm.R6),
		asm.Add.Imm(asm.R3, 43),
		asm.JGT.Reg(asm.R3, asm.R2, "pass"),
		asm.LoadMem(asm.R3, asm.R6, 12, asm.Byte),
		asm.JNE.Imm(asm.R3, 8, "pass"),
		asm.LoadMem(asm.R3, asm.R6, 13, asm.Byte),
		asm.JNE.Imm(asm.R3, 0, "pass"),
		asm.LoadMem(asm.R3, asm.R6, 23, asm.Byte),
		asm.JNE.Imm(asm.R3, 17, "pass"),
		asm.LoadMem(asm.R3, asm.R6, floodPort, asm.Byte),
		asm.JNE.Imm(asm.R3, 0, "pass"),
		asm.LoadMem(asm.R3, asm.R6, floodPort+1, asm.Byte),
		asm.JNE.Imm(asm.R3, 123, "pass"),
		asm.LoadMem(asm.R3, asm.R6, 42, asm.Byte),
		asm.And.Imm(asm.R3, 7),
		asm.JNE.Imm(asm.R3, 4, "drop"),
	}
	return append(append(in, entry(counts, 0, "drop")...),
		asm.Mov.Imm(asm.R1, 1),
		asm.AddAtomic.Mem(asm.R0, asm.R1, asm.DWord, 0),
		asm.Mov.Imm(asm.R0, xdpDrop).WithSymbol("drop"),
		asm.Return(),
		asm.Mov.Imm(asm.R0, xdpPass).WithSymbol("pass"),
		asm.Return(),
	)
}
