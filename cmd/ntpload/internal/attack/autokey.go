//go:build linux

package attack

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"time"

	"ntsbridge/autokey"
	"ntsbridge/autokey/keyfile"
	"ntsbridge/bridge/ntp"
)

// autokeyHost makes the key set of a client, as ntp-keygen would.
func autokeyHost(name string) (*keyfile.Host, error) {
	key, err := keyfile.GenerateRSA(rand.Reader, 1024, nil)
	if err != nil {
		return nil, err
	}
	now := time.Now().UTC()
	made := ntp.TimestampFromTime(now).Seconds()
	der, err := keyfile.CreateCertificate(rand.Reader, keyfile.CertificateTemplate{Subject: name, Serial: made, NotBefore: now,
		NotAfter: now.AddDate(1, 0, 0)}, key, keyfile.NIDByScheme("RSA-SHA256"))
	if err != nil {
		return nil, err
	}
	cert, err := keyfile.ParseCertificate(der)
	return &keyfile.Host{Name: name, HostKey: key, HostFilestamp: made, Certificate: cert, CertificateFilestamp: made}, err
}

// association is a client's association with the server.
type association struct {
	from   netip.Addr
	client *autokey.Client
	begun  time.Time
}

func (c *Config) associate(from netip.Addr) (*association, error) {
	credentials, err := autokey.NewCredentials(c.host, rand.Reader)
	if err != nil {
		return nil, err
	}
	client, err := autokey.NewClient(autokey.AssociationConfig{Credentials: credentials, Local: from, Remote: c.Server.Addr()})
	return &association{from: from, client: client, begun: time.Now()}, err
}

// poll asks the server once; the answer is usable once the client has a cookie.
func (a *association) poll(ctx context.Context, c *Config) autokey.Outcome {
	now := time.Now()
	m := autokey.Moment{Time: ntp.TimestampFromTime(now), Uptime: now.Sub(a.begun), Synchronised: true}
	p := make([]byte, autokey.MaxResponseLen)
	h := ntp.Header{Version: 4, Mode: ntp.ModeClient, Stratum: 3, Poll: 6, Transmit: m.Time}
	h.Encode(p)
	if err := a.client.Prepare(m, 64*time.Second); err != nil {
		return autokey.Outcome{Err: err}
	}
	n := a.client.Seal(p)
	conn, err := dialFrom(ctx, a.from, c.Server)
	if err != nil {
		return autokey.Outcome{Err: err}
	}
	defer conn.Close()
	return a.hear(conn, p[:n], m)
}

// hear sends a request and judges what comes back: an answer to one that was
// given up, or a forged one, is no answer.
func (a *association) hear(conn net.Conn, request []byte, m autokey.Moment) (out autokey.Outcome) {
	if _, err := conn.Write(request); err != nil || conn.SetReadDeadline(time.Now().Add(patience)) != nil {
		return autokey.Outcome{Err: err}
	}
	answer := make([]byte, autokey.MaxResponseLen)
	for range 4 {
		n, err := conn.Read(answer)
		if err != nil {
			return autokey.Outcome{Err: err}
		}
		if out = a.client.Receive(m, answer[:n]); out.Err == nil {
			break
		}
	}
	return out
}

// dance goes on until the client has its cookie, with as many lost packets as
// a client that asks again bears.
func (a *association) dance(ctx context.Context, c *Config) error {
	var last autokey.Outcome
	for lost := 0; lost < 3 && ctx.Err() == nil; {
		if last = a.poll(ctx, c); last.Usable {
			return nil
		}
		if last.Err != nil || !last.Progress {
			lost++
		}
	}
	return fmt.Errorf("no cookie for an Autokey client: %+v", last)
}

// cookie is a client that has its cookie and asks for the time.
func (c *Config) cookie(ctx context.Context, from netip.Addr) (func(context.Context, *client) bool, error) {
	a, err := c.associate(from)
	if err != nil {
		return nil, err
	}
	if err := a.dance(ctx, c); err != nil {
		return nil, err
	}
	return func(ctx context.Context, _ *client) bool { return a.poll(ctx, c).Usable }, nil
}

// newcomer is a client that begins, each time at another address of its
// network.
func (c *Config) newcomer() func(context.Context, *client) bool {
	began := 0
	return func(ctx context.Context, v *client) bool {
		from := v.from
		for range began {
			from = from.Next()
		}
		began++
		a, err := c.associate(from)
		return err == nil && a.dance(ctx, c) == nil
	}
}

// message is a client's request with a message, from an address.
func (c *Config) message(from netip.Addr, m autokey.Message) []byte {
	const id = 1 << 20
	s := autokey.NewScratch(autokey.MD5)
	p := binary.BigEndian.AppendUint32(m.Append(plain()), id)
	key := append([]byte(nil), s.SessionKey(from, c.Server.Addr(), id, 0)...)
	return append(p, s.MAC(key, p[:len(p)-4])...)
}

func assoc(c *Config, from netip.Addr, _ int) []byte {
	return c.message(from, autokey.Message{Code: autokey.Request(autokey.OpAssoc), Value: []byte("a.example")})
}

// sign asks for a signature that nobody has asked for.
func sign(c *Config, from netip.Addr, i int) []byte {
	return c.message(from, autokey.Message{Code: autokey.Request(autokey.OpSign), Filestamp: uint32(i), Value: c.host.Certificate.Raw})
}
