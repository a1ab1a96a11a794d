package acme

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os/exec"
	"strings"
	"time"

	protocol "golang.org/x/crypto/acme"
)

// answer makes the answer to a challenge be there until done is called.
func (m *Manager) answer(ctx context.Context, client *protocol.Client, c *protocol.Challenge, name string) (done func(), err error) {
	switch c.Type {
	case HTTP01:
		return m.answerHTTP(client, c)
	case TLSALPN01:
		return m.answerTLS(client, c, name)
	}
	return m.answerDNS(ctx, client, c, name)
}

// listen opens the addresses of the challenges.
func (m *Manager) listen() (list []net.Listener, err error) {
	for _, a := range m.cfg.Listen {
		l, err := net.Listen("tcp", a.String())
		if err != nil {
			for _, l := range list {
				_ = l.Close()
			}
			return nil, err
		}
		list = append(list, l)
	}
	return list, nil
}

// answerTime bounds what a connection of a validator may take.
const answerTime = 10 * time.Second

func (m *Manager) answerHTTP(client *protocol.Client, c *protocol.Challenge) (func(), error) {
	response, err := client.HTTP01ChallengeResponse(c.Token)
	if err != nil {
		return nil, err
	}
	listeners, err := m.listen()
	if err != nil {
		return nil, err
	}
	path := client.HTTP01ChallengePath(c.Token)
	server := &http.Server{ReadTimeout: answerTime, WriteTimeout: answerTime, MaxHeaderBytes: 1 << 14,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != path {
				http.NotFound(w, r)
				return
			}
			_, _ = io.WriteString(w, response)
		})}
	for _, l := range listeners {
		go func() { _ = server.Serve(l) }() // Close ends it
	}
	return func() { _ = server.Close() }, nil
}

// alpn is the protocol of tls-alpn-01 (RFC 8737).
const alpn = protocol.ALPNProto

func (m *Manager) answerTLS(client *protocol.Client, c *protocol.Challenge, name string) (func(), error) {
	cert, err := client.TLSALPN01ChallengeCert(c.Token, name)
	if err != nil {
		return nil, err
	}
	listeners, err := m.listen()
	if err != nil {
		return nil, err
	}
	conf := &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{cert}, NextProtos: []string{alpn}}
	for _, l := range listeners {
		go serveTLS(l, conf)
	}
	return func() {
		for _, l := range listeners {
			_ = l.Close()
		}
	}, nil
}

// serveTLS does handshakes and nothing more.
func serveTLS(l net.Listener, conf *tls.Config) {
	for {
		conn, err := l.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			time.Sleep(100 * time.Millisecond)
			continue
		}
		go func() {
			defer conn.Close()
			_ = conn.SetDeadline(time.Now().Add(answerTime))
			_ = tls.Server(conn, conf).Handshake()
		}()
	}
}

func (m *Manager) answerDNS(ctx context.Context, client *protocol.Client, c *protocol.Challenge, name string) (func(), error) {
	value, err := client.DNS01ChallengeRecord(c.Token)
	if err != nil {
		return nil, err
	}
	record := "_acme-challenge." + strings.TrimPrefix(name, "*.")
	if err := m.hook(ctx, "present", record, value); err != nil {
		return nil, err
	}
	return func() {
		if err := m.hook(context.WithoutCancel(ctx), "cleanup", record, value); err != nil {
			m.cfg.Logger.Warn("the DNS record of ACME stays", "record", record, "error", err)
		}
	}, nil
}

// hookTime bounds a call of the hook: it may wait until all name servers know.
const hookTime = 2 * time.Minute

// hook calls the program of the site.
func (m *Manager) hook(ctx context.Context, action, record, value string) error {
	ctx, cancel := context.WithTimeout(ctx, hookTime)
	defer cancel()
	out, err := exec.CommandContext(ctx, m.cfg.Hook, action, record, value).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s %s %s: %w: %.200s", m.cfg.Hook, action, record, err, strings.TrimSpace(string(out)))
	}
	return nil
}
