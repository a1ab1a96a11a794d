//go:build linux

package rig

import (
	"fmt"
	"net"
	"runtime"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	bpflink "github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"
)

// xdpPass is what XDP returns of a frame that is to go on.
const xdpPass = 2

// passAll puts an XDP program that lets everything pass at a device of a
// namespace. Without one there, veth does not deliver what the program at its
// other end sends.
func passAll(namespace, device string) (done func(), err error) {
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
			done, err = attachPass(device)
			return err
		}()
	}()
	if err := <-result; err != nil {
		return nil, fmt.Errorf("XDP program at %s of %s: %w", device, namespace, err)
	}
	return done, nil
}

func attachPass(device string) (func(), error) {
	i, err := net.InterfaceByName(device)
	if err != nil {
		return nil, err
	}
	p, err := ebpf.NewProgram(&ebpf.ProgramSpec{Type: ebpf.XDP, License: "MIT",
		Instructions: asm.Instructions{asm.Mov.Imm(asm.R0, xdpPass), asm.Return()}})
	if err != nil {
		return nil, err
	}
	l, err := bpflink.AttachXDP(bpflink.XDPOptions{Program: p, Interface: i.Index, Flags: bpflink.XDPDriverMode})
	if err != nil {
		p.Close()
		return nil, err
	}
	return func() { l.Close(); p.Close() }, nil
}
