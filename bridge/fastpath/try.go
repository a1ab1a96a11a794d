package fastpath

import (
	"encoding/binary"
	"fmt"
	"time"

	"github.com/cilium/ebpf"

	"ntsbridge/bridge/fastpath/frames"
)

// What a program returns of a frame that it has made an answer of.
const (
	tcxRedirect = 7
	xdpTransmit = 3
	xdpRedirect = 4
)

// Offsets of what a frame comes with, in the kernel's struct __sk_buff.
const (
	contextInterface = 40
	contextStamp     = 152
	contextLen       = 160
)

// Try runs the program of a mode on a frame, as if it had come in at the
// loopback interface (BPF_PROG_TEST_RUN), and returns what it made of it.
// received is the kernel's receive timestamp, for tcx; zero: none.
func (e *Engine) Try(mode Mode, frame []byte, received time.Time) (out []byte, answered bool, err error) {
	name, answer := objectProgNtpTcx, uint32(tcxRedirect)
	if mode.inDriver() {
		name, answer = objectProgNtpXdp, xdpTransmit
	}
	p := e.objects.Programs[name]
	if p == nil {
		return nil, false, fmt.Errorf("the program of %s is not loaded", mode)
	}
	run := ebpf.RunOptions{Data: frame, DataOut: make([]byte, len(frame)+256)}
	if !mode.inDriver() {
		context := make([]byte, contextLen)
		binary.NativeEndian.PutUint32(context[contextInterface:], 1)
		if !received.IsZero() {
			binary.NativeEndian.PutUint64(context[contextStamp:], uint64(received.UnixNano()))
		}
		run.Context = context
	}
	result, err := p.Run(&run)
	return run.DataOut, result == answer, err
}

// TryNTS runs the program of XDP on a frame, and tells whether it gives it to
// the socket of TrySocket.
func (e *Engine) TryNTS(frame []byte) (out []byte, taken bool, err error) {
	run := ebpf.RunOptions{Data: frame, DataOut: make([]byte, len(frame)+256)}
	result, err := e.objects.Programs[objectProgNtpXdp].Run(&run)
	return run.DataOut, result == xdpRedirect, err
}

// TrySocket gives the program a socket at the loopback interface.
func (e *Engine) TrySocket(s *frames.Socket) error {
	if err := e.objects.Maps[objectMapSockets].Put(uint32(0), uint32(s.FD())); err != nil {
		return err
	}
	return e.objects.Maps[objectMapInterfaces].Put(uint32(1), &objectInterface{Index: 1, Partial: 1, Queues: 1})
}
