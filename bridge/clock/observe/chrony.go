package observe

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/facebook/time/ntp/chrony"
	"golang.org/x/sys/unix"

	"ntsbridge/bridge/ntp"
)

// askChronySocket asks a chronyd through its Unix socket. chronyd answers to
// the path that the question came from, so we need a socket with a path, in a
// directory that chronyd can reach and nobody else can write to: its own.
func askChronySocket(path string, deadline time.Time) (*State, error) {
	own := filepath.Join(filepath.Dir(path), "ntsbridge."+strconv.Itoa(os.Getpid())+".sock")
	if _, err := os.Stat(path); err != nil {
		return nil, err
	}
	_ = os.Remove(own) // of an earlier process with our number
	conn, err := net.DialUnix("unixgram", &net.UnixAddr{Name: own, Net: "unixgram"}, &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		_ = os.Remove(own) // bound, though not connected
		return nil, err
	}
	defer os.Remove(own)
	defer conn.Close()
	if err := letAnswer(own); err != nil {
		return nil, err
	}
	return askChrony(conn, deadline)
}

// letAnswer allows a chronyd that has given up root to write to our socket. The
// directory is chronyd's: that the path is still our socket is made sure first.
func letAnswer(path string) error {
	fd, err := unix.Open(path, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return os.NewSyscallError("open", err)
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return os.NewSyscallError("fstat", err)
	}
	if st.Mode&unix.S_IFMT != unix.S_IFSOCK || int(st.Uid) != os.Geteuid() {
		return fmt.Errorf("%s is not our socket", path)
	}
	err = unix.Fchmodat(fd, "", 0o666, unix.AT_EMPTY_PATH)
	if errors.Is(err, unix.ENOSYS) || errors.Is(err, unix.EOPNOTSUPP) { // Linux before 6.6
		return os.Chmod(fmt.Sprintf("/proc/self/fd/%d", fd), 0o666)
	}
	return os.NewSyscallError("fchmodat2", err)
}

// askChronyUDP asks a chronyd through its command port.
func askChronyUDP(to netip.AddrPort, deadline time.Time) (*State, error) {
	conn, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(to))
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	return askChrony(conn, deadline)
}

func askChrony(conn net.Conn, deadline time.Time) (*State, error) {
	if err := conn.SetDeadline(deadline); err != nil {
		return nil, err
	}
	return tracking(conn.Read, conn.Write)
}

// tracking has the codec ask for a tracking report over a pair of functions.
func tracking(read, write func([]byte) (int, error)) (*State, error) {
	client := chrony.Client{Connection: &chronyFilter{read: read, write: write}, Sequence: rand.Uint32()}
	reply, err := client.Communicate(chrony.NewTrackingPacket())
	if err != nil {
		return nil, err
	}
	t, ok := reply.(*chrony.ReplyTracking)
	if !ok {
		return nil, errors.New("chronyd's answer is no tracking report")
	}
	return fromTracking(&t.Tracking)
}

// Offsets in a request and a reply of chrony's protocol (candm.h, CMD_Request
// and CMD_Reply).
const (
	chronyVersion     = 0
	chronyType        = 1
	chronyCommand     = 4
	chronyReply       = 6
	chronyStatus      = 8
	chronyRequestSeq  = 8
	chronyReplySeq    = 16
	chronyReplyHeader = 28
)

// maxStray is how many packets that are no answer are passed over.
const maxStray = 16

var errStray = errors.New("chronyd: too many packets that are no answer")

// chronyFilter lets through to the codec, which checks none of this, the reply
// that belongs to the request: late ones of an earlier question would be taken
// for it, and other reports for tracking.
type chronyFilter struct {
	read, write func([]byte) (int, error)
	head        [12]byte // of the request
}

// Write implements io.Writer.
func (f *chronyFilter) Write(p []byte) (int, error) {
	copy(f.head[:], p)
	return f.write(p)
}

// Read implements io.Reader.
func (f *chronyFilter) Read(p []byte) (int, error) {
	for range maxStray {
		n, err := f.read(p)
		if err != nil {
			return 0, err
		}
		if f.answers(p[:n]) {
			return n, nil
		}
	}
	return 0, errStray
}

func (f *chronyFilter) answers(p []byte) bool {
	const typeReply = 2
	return len(p) >= chronyReplyHeader && p[chronyVersion] == f.head[chronyVersion] && p[chronyType] == typeReply &&
		string(p[chronyCommand:chronyCommand+2]) == string(f.head[chronyCommand:chronyCommand+2]) &&
		string(p[chronyReplySeq:chronyReplySeq+4]) == string(f.head[chronyRequestSeq:chronyRequestSeq+4]) &&
		(binary.BigEndian.Uint16(p[chronyStatus:]) != 0 || binary.BigEndian.Uint16(p[chronyReply:]) == uint16(chrony.RpyTracking))
}

// fromTracking judges a tracking report. chronyd lets the system clock run up
// to its own time slowly and serves its own; we serve the system clock, which
// is off by the rest.
func fromTracking(t *chrony.Tracking) (*State, error) {
	if t.LeapStatus > uint16(ntp.LeapUnknown) || t.Stratum > ntp.StratumUnsynchronised {
		return nil, fmt.Errorf("chronyd: leap status %d, stratum %d", t.LeapStatus, t.Stratum)
	}
	delay, ok1 := duration(t.RootDelay)
	dispersion, ok2 := duration(t.RootDispersion)
	offset, ok3 := duration(math.Abs(t.CurrentCorrection))
	if !ok1 || !ok2 || !ok3 {
		return nil, fmt.Errorf("chronyd: root delay %v s, root dispersion %v s, offset %v s", t.RootDelay, t.RootDispersion,
			t.CurrentCorrection)
	}
	s := &State{Program: Chronyd, Leap: ntp.Leap(t.LeapStatus), Stratum: uint8(t.Stratum), ReferenceID: t.RefID,
		RootDelay: delay, RootDispersion: dispersion + offset, Offset: offset}
	if unix := t.RefTime.Unix(); unix > 0 && unix < 1<<33 {
		s.Reference = ntp.TimestampFromTime(t.RefTime)
	}
	return s, nil
}
