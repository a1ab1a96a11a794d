package migration

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"math/big"
	"net"
	"runtime"
	"sync"
	"time"
)

// measured is how many handshakes the cost of one is taken from.
const measured = 10

// KECapacity returns how many TLS handshakes a second this host can make for
// NTS-KE, with a P-256 certificate, both sides of which it makes to measure
// that; 0 if it cannot be measured. The first call takes some milliseconds.
var KECapacity = sync.OnceValue(func() float64 {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return 0
	}
	t := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), DNSNames: []string{"ntp"}}
	der, err := x509.CreateCertificate(rand.Reader, t, t, key.Public(), key)
	if err != nil {
		return 0
	}
	server := &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}, MinVersion: tls.VersionTLS13}
	began := time.Now()
	for range measured {
		if err := handshake(server); err != nil {
			return 0
		}
	}
	// The client's half takes about as long; it is counted as ours.
	return measured / time.Since(began).Seconds() * float64(runtime.GOMAXPROCS(0))
})

func handshake(config *tls.Config) error {
	ours, theirs := net.Pipe()
	defer ours.Close()
	defer theirs.Close()
	done := make(chan error, 1)
	go func() { done <- tls.Server(ours, config).Handshake() }()
	client := tls.Client(theirs, &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS13, ServerName: "ntp"}) // to ourselves
	if err := client.Handshake(); err != nil {
		return err
	}
	return <-done
}
