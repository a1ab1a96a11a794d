package server

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"
	"unsafe"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"
)

// Cores of the server and of what asks.
const (
	benchServerCore = 0
	benchAskerCore  = 1
)

// benchLink is two namespaces that a veth joins, near at the server and far at what
// asks.
type benchLink struct {
	server, asker string
	near, far     netip.Addr
}

func newBenchLink(b *testing.B) *benchLink {
	b.Helper()
	id := os.Getpid()
	l := &benchLink{fmt.Sprintf("nbx-s%d", id), fmt.Sprintf("nbx-a%d", id),
		netip.MustParseAddr("10.89.0.1"), netip.MustParseAddr("10.89.0.2")}
	b.Cleanup(func() {
		_ = exec.Command("ip", "netns", "del", l.server).Run()
		_ = exec.Command("ip", "netns", "del", l.asker).Run()
	})
	for _, line := range []string{
		"netns add " + l.server, "netns add " + l.asker,
		"-n " + l.server + " link add near type veth peer name far netns " + l.asker,
		"-n " + l.server + " addr add 10.89.0.1/16 dev near", "-n " + l.asker + " addr add 10.89.0.2/16 dev far",
		"-n " + l.server + " link set near up", "-n " + l.asker + " link set far up",
		"-n " + l.server + " route add 10.90.0.0/16 via 10.89.0.2",
	} {
		if out, err := exec.Command("ip", strings.Fields(line)...).CombinedOutput(); err != nil {
			b.Fatalf("ip %s: %v: %s", line, err, out)
		}
	}
	return l
}

// within runs f on a thread of its own in a namespace, which ends with it.
func within(namespace string, f func() error) error {
	result := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		result <- func() error {
			fd, err := unix.Open("/run/netns/"+namespace, unix.O_RDONLY|unix.O_CLOEXEC, 0)
			if err != nil {
				return err
			}
			defer unix.Close(fd)
			if err := unix.Setns(fd, unix.CLONE_NEWNET); err != nil {
				return err
			}
			return f()
		}()
	}()
	return <-result
}

// first lets a thread run on one core, and mostly before others.
func first(thread, core int) error {
	var set unix.CPUSet
	set.Set(core)
	return errors.Join(unix.SchedSetaffinity(thread, &set), unix.Setpriority(unix.PRIO_PROCESS, thread, -20))
}

// firstAll does so with all threads of this process.
func firstAll(core int) error {
	tasks, _ := filepath.Glob("/proc/self/task/[0-9]*")
	for _, task := range tasks {
		id, err := strconv.Atoi(filepath.Base(task))
		if err == nil {
			err = first(id, core)
		}
		if err != nil && !errors.Is(err, unix.ESRCH) {
			return err
		}
	}
	return nil
}

// receivers makes the server's device receive in threads of its own on the
// server's core, as a loaded network card does, and returns them.
func (l *benchLink) receivers() (pids []int, err error) {
	if err := within(l.server, func() error { return gro("near") }); err != nil {
		return nil, err
	}
	script := "echo 1 >/sys/class/net/near/threaded"
	if out, err := exec.Command("ip", "netns", "exec", l.server, "sh", "-c", script).CombinedOutput(); err != nil {
		return nil, fmt.Errorf("%s: %w: %s", script, err, out)
	}
	names, _ := filepath.Glob("/proc/[0-9]*/comm")
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil || !strings.HasPrefix(string(text), "napi/near-") {
			continue
		}
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(name)))
		if err != nil {
			continue
		}
		if err := first(pid, benchServerCore); err != nil {
			return nil, err
		}
		pids = append(pids, pid)
	}
	if len(pids) == 0 {
		return nil, errors.New("the kernel made no thread for the device")
	}
	return pids, nil
}

// gro makes a veth receive by NAPI.
func gro(name string) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	wanted := struct{ command, value uint32 }{unix.ETHTOOL_SGRO, 1}
	request := struct {
		name [unix.IFNAMSIZ]byte
		data unsafe.Pointer
		_    [16]byte
	}{data: unsafe.Pointer(&wanted)}
	copy(request.name[:unix.IFNAMSIZ-1], name)
	if _, _, e := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.SIOCETHTOOL, uintptr(unsafe.Pointer(&request))); e != 0 {
		return e
	}
	return nil
}

// floodFrame is a request in Ethernet, IPv4 and UDP.
func floodFrame(from, to net.HardwareAddr, source, server netip.Addr, payload []byte) []byte {
	b := append(append(append([]byte{}, to...), from...), 8, 0)
	ip := make([]byte, 20)
	copy(ip, []byte{0x45, 0, 0, 0, 0, 32, 0x40, 0, 64, 17})
	binary.BigEndian.PutUint16(ip[2:], uint16(28+len(payload)))
	copy(ip[12:], source.AsSlice())
	copy(ip[16:], server.AsSlice())
	binary.BigEndian.PutUint16(ip[10:], ^sum16(ip))
	b = append(append(b, ip...), 0x80, 0, 0, 123, 0, 0, 0, 0)
	binary.BigEndian.PutUint16(b[38:], uint16(8+len(payload)))
	return append(b, payload...)
}

// Entries of the flood's map.
const (
	floodAnswers  = iota // that came
	floodDue             // when the next burst is, ns
	floodInterval        // between bursts, ns; 0: as fast as can be
	floodBurst           // requests in a burst, less one
	floodLeft            // of the burst that is going out
	floodEntries
)

// asker sends the same request of 32 sources again and again, as the kernel
// makes frames, and counts answers.
type asker struct {
	*benchLink
	sender, counter *ebpf.Program
	counts          *ebpf.Map
	link            link.Link
	length          int
	used            time.Duration // CPU time of its thread
}

func (l *benchLink) newAsker(payload []byte) (a *asker, err error) {
	var mac net.HardwareAddr
	if err := within(l.server, func() error {
		i, err := net.InterfaceByName("near")
		if err == nil {
			mac = i.HardwareAddr
		}
		return err
	}); err != nil {
		return nil, err
	}
	a = &asker{benchLink: l}
	return a, within(l.asker, func() error {
		i, err := net.InterfaceByName("far")
		if err != nil {
			return err
		}
		frame := floodFrame(i.HardwareAddr, mac, netip.MustParseAddr("10.90.0.2"), l.near, payload)
		a.length = len(frame)
		if a.counts, err = ebpf.NewMap(&ebpf.MapSpec{Type: ebpf.Array, KeySize: 4, ValueSize: 8, MaxEntries: floodEntries}); err != nil {
			return err
		}
		if a.counter, err = ebpf.NewProgram(&ebpf.ProgramSpec{Type: ebpf.XDP, License: "MIT",
			Instructions: countsAnswers(a.counts)}); err != nil {
			return err
		}
		if a.sender, err = ebpf.NewProgram(&ebpf.ProgramSpec{Type: ebpf.XDP, License: "MIT",
			Instructions: sendsBursts(a.counts, i.Index, frame)}); err != nil {
			return err
		}
		a.link, err = link.AttachXDP(link.XDPOptions{Program: a.counter, Interface: i.Index, Flags: link.XDPDriverMode})
		return err
	})
}

func (a *asker) close() {
	a.link.Close()
	a.sender.Close()
	a.counter.Close()
	a.counts.Close()
}

// pace sets how many requests a second are sent, and how many at a time.
func (a *asker) pace(rate, burst int) error {
	interval := uint64(0)
	if rate > 0 {
		interval = uint64(time.Second) * uint64(burst) / uint64(rate)
	}
	return errors.Join(a.counts.Put(uint32(floodInterval), interval), a.counts.Put(uint32(floodBurst), uint64(burst-1)))
}

func (a *asker) answers() (n uint64) {
	_ = a.counts.Lookup(uint32(floodAnswers), &n)
	return n
}

// send sends for a time; it has a thread of its own.
func (a *asker) send(rate int, d time.Duration) error {
	return within(a.asker, func() error {
		if err := first(0, benchAskerCore); err != nil {
			return err
		}
		own := func() (ts unix.Timespec) { _ = unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &ts); return ts }
		began := own()
		defer func() { now := own(); a.used += time.Duration(now.Nano() - began.Nano()) }()
		calls := uint32(2_000_000)
		if rate == 0 {
			calls = 200_000
		}
		data := make([]byte, a.length)
		for begin := time.Now(); time.Since(begin) < d; {
			if _, err := a.sender.Run(&ebpf.RunOptions{Data: data, Repeat: calls, Flags: 1 << 1, BatchSize: 64}); err != nil {
				return fmt.Errorf("live frames: %w", err)
			}
		}
		return nil
	})
}

// at looks up an entry of a map of 64-bit words; without it the program drops.
func at(m *ebpf.Map, index int64) asm.Instructions {
	return asm.Instructions{
		asm.StoreImm(asm.RFP, -4, index, asm.Word),
		asm.Mov.Reg(asm.R2, asm.RFP),
		asm.Add.Imm(asm.R2, -4),
		asm.LoadMapPtr(asm.R1, m.FD()),
		asm.FnMapLookupElem.Call(),
		asm.JEq.Imm(asm.R0, 0, "drop"),
	}
}

// sendsBursts writes the frame with one of 32 sources and sends it, when it is
// due. Source and identification change against each other, so that the
// header's checksum stays.
func sendsBursts(counts *ebpf.Map, ifindex int, frame []byte) asm.Instructions {
	in := asm.Instructions{asm.Mov.Reg(asm.R9, asm.R1)}
	in = append(in, at(counts, floodInterval)...)
	in = append(in, asm.LoadMem(asm.R8, asm.R0, 0, asm.DWord), asm.JEq.Imm(asm.R8, 0, "due"))
	in = append(in, at(counts, floodLeft)...)
	in = append(in, asm.Mov.Reg(asm.R7, asm.R0), asm.LoadMem(asm.R1, asm.R7, 0, asm.DWord), asm.JEq.Imm(asm.R1, 0, "new"),
		asm.Sub.Imm(asm.R1, 1), asm.StoreMem(asm.R7, 0, asm.R1, asm.DWord), asm.Ja.Label("due"))
	new := at(counts, floodDue)
	new[0] = new[0].WithSymbol("new")
	in = append(in, new...)
	in = append(in, asm.Mov.Reg(asm.R6, asm.R0),
		asm.FnKtimeGetNs.Call(),
		asm.LoadMem(asm.R1, asm.R6, 0, asm.DWord),
		asm.JLT.Reg(asm.R0, asm.R1, "drop"),
		asm.Add.Reg(asm.R1, asm.R8),
		asm.Add.Imm(asm.R0, -1_000_000), // what is behind by more is not caught up
		asm.JGT.Reg(asm.R1, asm.R0, "next"),
		asm.Mov.Reg(asm.R1, asm.R0),
		asm.StoreMem(asm.R6, 0, asm.R1, asm.DWord).WithSymbol("next"))
	in = append(in, at(counts, floodBurst)...)
	in = append(in, asm.LoadMem(asm.R1, asm.R0, 0, asm.DWord), asm.StoreMem(asm.R7, 0, asm.R1, asm.DWord),
		asm.LoadMem(asm.R6, asm.R9, 0, asm.Word).WithSymbol("due"),
		asm.LoadMem(asm.R2, asm.R9, 4, asm.Word),
		asm.Mov.Reg(asm.R3, asm.R6),
		asm.Add.Imm(asm.R3, int32(len(frame))),
		asm.JGT.Reg(asm.R3, asm.R2, "drop"))
	for i := 0; i+2 <= len(frame); i += 2 {
		in = append(in, asm.StoreImm(asm.R6, int16(i), int64(binary.NativeEndian.Uint16(frame[i:])), asm.Half))
	}
	return append(in,
		asm.FnGetPrandomU32.Call(),
		asm.Mov.Reg(asm.R1, asm.R0),
		asm.RSh.Imm(asm.R1, 8),
		asm.StoreMem(asm.R6, 35, asm.R1, asm.Byte), // source port
		asm.And.Imm(asm.R0, 31),
		asm.Mov.Reg(asm.R1, asm.R0),
		asm.Add.Imm(asm.R1, 2),
		asm.StoreMem(asm.R6, 29, asm.R1, asm.Byte), // source
		asm.Mov.Imm(asm.R2, 32),
		asm.Sub.Reg(asm.R2, asm.R0),
		asm.StoreMem(asm.R6, 19, asm.R2, asm.Byte), // identification
		asm.Mov.Imm(asm.R1, int32(ifindex)),
		asm.Mov.Imm(asm.R2, 0),
		asm.FnRedirect.Call(),
		asm.Return(),
		asm.Mov.Imm(asm.R0, 1).WithSymbol("drop"),
		asm.Return())
}

// isNTP goes on with packets of UDP over IPv4 whose port, at an octet of the
// frame, is 123; the others pass. The frame is at R6.
func isNTP(port int16, length int32) asm.Instructions {
	in := asm.Instructions{
		asm.LoadMem(asm.R6, asm.R1, 0, asm.Word),
		asm.LoadMem(asm.R2, asm.R1, 4, asm.Word),
		asm.Mov.Reg(asm.R3, asm.R6),
		asm.Add.Imm(asm.R3, length),
		asm.JGT.Reg(asm.R3, asm.R2, "pass"),
	}
	for _, octet := range [][2]int16{{12, 8}, {13, 0}, {14, 0x45}, {23, 17}, {port, 0}, {port + 1, 123}} {
		in = append(in, asm.LoadMem(asm.R3, asm.R6, octet[0], asm.Byte), asm.JNE.Imm(asm.R3, int32(octet[1]), "pass"))
	}
	return in
}

// countsAnswers drops what comes from port 123 and counts what is in mode 4.
func countsAnswers(counts *ebpf.Map) asm.Instructions {
	in := append(isNTP(34, 43), asm.LoadMem(asm.R3, asm.R6, 42, asm.Byte), asm.And.Imm(asm.R3, 7), asm.JNE.Imm(asm.R3, 4, "drop"))
	return append(append(in, at(counts, floodAnswers)...),
		asm.Mov.Imm(asm.R1, 1), asm.AddAtomic.Mem(asm.R0, asm.R1, asm.DWord, 0),
		asm.Mov.Imm(asm.R0, 1).WithSymbol("drop"), asm.Return(),
		asm.Mov.Imm(asm.R0, 2).WithSymbol("pass"), asm.Return())
}
