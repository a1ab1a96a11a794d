package main

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ntsbridge/bridge/ntp"
)

// TestSocketActivation starts serve with sockets as systemd passes them: UDP for
// NTP and TCP for NTS-KE. It serves on them and opens none beside; what was sent
// before it began is answered.
func TestSocketActivation(t *testing.T) {
	udp, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	tcp, err := net.ListenTCP("tcp4", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	udpFile, err1 := udp.File()
	tcpFile, err2 := tcp.File()
	if err1 != nil || err2 != nil {
		t.Fatal(err1, err2)
	}
	client, err := net.DialUDP("udp4", nil, udp.LocalAddr().(*net.UDPAddr))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	request := make([]byte, ntp.HeaderLen)
	request[0], request[47] = 4<<3|byte(ntp.ModeClient), 1
	if _, err := client.Write(request); err != nil {
		t.Fatal(err)
	}
	address, ke := udp.LocalAddr().String(), tcp.Addr().String()
	udp.Close()
	tcp.Close()

	dir := t.TempDir()
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	// The shell becomes the daemon: its process identifier is that which is told.
	cmd := exec.Command("sh", "-c", `LISTEN_PID=$$ LISTEN_FDS=2 exec ntsbridge serve --state-dir "$0" --run-dir "$0"`, dir)
	cmd.ExtraFiles, cmd.Stderr = []*os.File{udpFile, tcpFile}, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }()
	udpFile.Close()
	tcpFile.Close()

	answer := make([]byte, 2048)
	_ = client.SetReadDeadline(time.Now().Add(time.Minute))
	n, err := client.Read(answer)
	text, _ := os.ReadFile(log.Name())
	if err != nil || n < ntp.HeaderLen || ntp.ModeOf(answer) != ntp.ModeServer {
		t.Fatalf("the request that waited is not answered: %d octets, %v\n%s", n, err, text)
	}
	c, err := net.DialTimeout("tcp4", ke, time.Minute)
	if err != nil {
		t.Fatalf("NTS-KE: %v", err)
	}
	c.Close()
	for end := time.Now().Add(time.Minute); !strings.Contains(string(text), "serving: ntp=") && time.Now().Before(end); {
		time.Sleep(10 * time.Millisecond)
		text, _ = os.ReadFile(log.Name())
	}
	if s := string(text); strings.Count(s, "serving: ntp=") != 1 || !strings.Contains(s, "ntp="+address) {
		t.Errorf("serves not on %s alone:\n%s", address, s)
	}
}
