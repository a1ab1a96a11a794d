package bridge

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"ntsbridge/bridge/config"
	"ntsbridge/bridge/control"
	"ntsbridge/bridge/material"
	"ntsbridge/nts"
)

// The running daemon tells of its certificates, of what NTS-KE does, and who
// refuses it.
func TestNTSReport(t *testing.T) {
	cfg := testConfig(t, t.TempDir())
	b := startBridge(t, cfg)
	defer b.Close()
	client := control.NewClient(cfg.Control.Socket)
	establish(t, b, 15)
	n, err := client.NTS()
	if err != nil {
		t.Fatal(err)
	}
	if len(n.Listeners) != 1 || len(n.Certificates) != 1 || n.Certificates[0].DaysLeft < 300 || n.Loaded.IsZero() ||
		!strings.HasPrefix(n.Certificates[0].Needs, "CN=ntsbridge localhost") || len(n.Certificates[0].Complaints) != 0 ||
		n.Agreed["AEAD_AES_SIV_CMAC_256"] != 1 || n.Cookie.Epochs == 0 || len(n.Problems) != 0 || len(n.Refusals) != 0 {
		t.Errorf("%+v", n)
	}
	// Clients that do not trust it, from several addresses: one says so, the
	// others close, as chronyd does.
	for i, from := range []string{"127.0.0.2", "127.0.0.3", "127.0.0.4"} {
		d := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}, Timeout: 5 * time.Second}
		raw, err := d.Dial("tcp", n.Listeners[0].String())
		if err != nil {
			t.Fatal(err)
		}
		conf := &tls.Config{ServerName: "localhost", NextProtos: []string{nts.ALPN}, RootCAs: x509.NewCertPool()}
		if i > 0 { // the alert stays unsent
			conf.VerifyConnection, conf.InsecureSkipVerify = func(tls.ConnectionState) error { raw.Close(); return errors.New("no") }, true
		}
		if tls.Client(raw, conf).Handshake() == nil {
			t.Error("trusted")
		}
		raw.Close()
	}
	for deadline := time.Now().Add(10 * time.Second); !n.ManyRefuse && time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		if n, err = client.NTS(); err != nil {
			t.Fatal(err)
		}
	}
	var text bytes.Buffer
	if err := n.WriteText(&text, control.ReportOptions{}); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"Serving NTS-KE", "clients trust", "CN=ntsbridge localhost", "127.0.0.2: 1 times", "bad certificate",
		"closes", "handshake-left", "clients refuse our certificate: 3"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("%q is missing in\n%s", want, &text)
		}
	}
	status, err := client.Status()
	if err != nil || len(status.Problems) != 1 || !strings.Contains(status.Problems[0], "refuse our certificate") {
		t.Errorf("status: %+v, %v", status, err)
	}
}

func TestNTSReportOff(t *testing.T) {
	cfg := testConfig(t, t.TempDir())
	cfg.NTS.Enabled = false
	b := startBridge(t, cfg)
	defer b.Close()
	if _, err := control.NewClient(cfg.Control.Socket).NTS(); err == nil || !strings.Contains(err.Error(), "nts.enabled: false") {
		t.Errorf("%v", err)
	}
}

// A certificate that was made by a wrong clock is made anew by the running
// daemon.
func TestCertificateOfAWrongClockIsReplaced(t *testing.T) {
	cfg := testConfig(t, t.TempDir())
	cfg.Clock.Mode, cfg.Clock.Stratum = config.ClockLocal, 5
	set := material.Load(cfg, material.Options{Now: time.Now().AddDate(24, 0, 0)})
	if err := errors.Join(os.MkdirAll(cfg.StateDir, 0o700), set.Findings.Err(), set.Store.Commit()); err != nil {
		t.Fatal(err)
	}
	key, err := os.ReadFile(material.GeneratedCertificate(cfg).Key)
	if err != nil {
		t.Fatal(err)
	}
	b := startBridge(t, cfg)
	defer b.Close()
	client := control.NewClient(cfg.Control.Socket)
	var n *control.NTS
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if n, err = client.NTS(); err != nil {
			t.Fatal(err)
		}
		if len(n.Problems) == 0 {
			break
		}
	}
	if len(n.Problems) > 0 {
		t.Errorf("%q", n.Problems)
	}
	if after, err := os.ReadFile(material.GeneratedCertificate(cfg).Key); err != nil || !bytes.Equal(key, after) {
		t.Errorf("another key, %v", err)
	}
	establish(t, b, 15)
}

// An authority that cannot be reached is told of, and takes nothing else down.
func TestACMEFails(t *testing.T) {
	cfg := testConfig(t, t.TempDir())
	cfg.Clock.Mode, cfg.Clock.Stratum = config.ClockLocal, 5
	cfg.NTS.ACME.Directory, cfg.NTS.ACME.Names = "https://127.0.0.1:1/directory", []string{"tick.example"}
	cfg.NTS.ACME.Listen = []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:0")}
	b := startBridge(t, cfg)
	defer b.Close()
	client := control.NewClient(cfg.Control.Socket)
	var n *control.NTS
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		var err error
		if n, err = client.NTS(); err != nil {
			t.Fatal(err)
		}
		if n.ACME.Error != "" {
			break
		}
	}
	var text bytes.Buffer
	if err := n.WriteText(&text, control.ReportOptions{}); err != nil || !strings.Contains(text.String(), "connection refused; again") ||
		!strings.Contains(text.String(), "no client gets keys") {
		t.Errorf("%v\n%s", err, &text)
	}
	if exchange(t, b, plainRequest()) == nil {
		t.Error("a plain client is not answered")
	}
}
