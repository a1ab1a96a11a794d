package acme

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	protocol "golang.org/x/crypto/acme"

	"ntsbridge/bridge/nke/pki"
	"ntsbridge/bridge/statedir"
)

// client returns the ACME client with the account's key.
func (m *Manager) client() (*protocol.Client, error) {
	key, err := m.key(m.cfg.accountFile())
	if err != nil {
		return nil, err
	}
	conf := &tls.Config{MinVersion: tls.VersionTLS12, Time: m.cfg.now}
	if m.cfg.Bundle != "" {
		text, err := os.ReadFile(m.cfg.Bundle)
		if err != nil {
			return nil, fmt.Errorf("acme: trusted authorities: %w", err)
		}
		conf.RootCAs = x509.NewCertPool()
		if !conf.RootCAs.AppendCertsFromPEM(text) {
			return nil, fmt.Errorf("acme: %s has no certificate in it", m.cfg.Bundle)
		}
	}
	transport := &http.Transport{TLSClientConfig: conf, ForceAttemptHTTP2: true, Proxy: http.ProxyFromEnvironment, DisableKeepAlives: true,
		TLSHandshakeTimeout: 20 * time.Second, ResponseHeaderTimeout: 30 * time.Second}
	return &protocol.Client{Key: key, DirectoryURL: m.cfg.Directory, UserAgent: "ntsbridge",
		HTTPClient: &http.Client{Transport: transport, Timeout: time.Minute}, RetryBackoff: briefly}, nil
}

// briefly lets a request that the server did not take, as one with a stale
// nonce, be repeated at once a few times; all else waits for the next attempt.
func briefly(n int, _ *http.Request, resp *http.Response) time.Duration {
	if n > 5 || resp != nil && resp.StatusCode == http.StatusTooManyRequests {
		return 0
	}
	return time.Duration(n) * 100 * time.Millisecond
}

// obtain gets a certificate and writes it, with a key that is new each time.
func (m *Manager) obtain(ctx context.Context) error {
	client, err := m.client()
	if err != nil {
		return err
	}
	if err := m.room(); err != nil {
		return err
	}
	if err := m.register(ctx, client); err != nil {
		return err
	}
	order, err := client.AuthorizeOrder(ctx, identifiers(m.cfg.Names))
	if err != nil {
		return fmt.Errorf("acme: order: %w", err)
	}
	for _, url := range order.AuthzURLs {
		if err := m.authorize(ctx, client, url); err != nil {
			return err
		}
	}
	uri := order.URI
	if order, err = client.WaitOrder(ctx, uri); err != nil {
		return fmt.Errorf("acme: order: %w", err)
	}
	order.URI = uri // which not every server repeats
	keyText, err := pki.NewKey()
	if err != nil {
		return err
	}
	key, err := pki.ParseKey(keyText)
	if err != nil {
		return err
	}
	request, err := certificateRequest(key, m.cfg.Names)
	if err != nil {
		return err
	}
	chain, _, err := client.CreateCertFromOrder(ctx, order, request, true)
	if err != nil {
		return fmt.Errorf("acme: certificate: %w", err)
	}
	return m.write(chain, keyText, key)
}

// roomFor is more than a key and a chain take, octets.
const roomFor = 32 << 10

// room tells whether what is to be got can be written: an authority issues a few
// certificates a week for a name, and none of them may be lost to a full disk.
func (m *Manager) room() error {
	probe := filepath.Join(m.cfg.Dir, ".room")
	defer os.Remove(probe)
	if err := statedir.Write(probe, make([]byte, roomFor), statedir.Secret); err != nil {
		return fmt.Errorf("acme: nothing is asked for that could not be kept: %w", err)
	}
	return nil
}

// register makes the account known, or finds that it is.
func (m *Manager) register(ctx context.Context, client *protocol.Client) error {
	account := new(protocol.Account)
	for _, c := range m.cfg.Contact {
		account.Contact = append(account.Contact, "mailto:"+c)
	}
	if m.cfg.BindingID != "" {
		account.ExternalAccountBinding = &protocol.ExternalAccountBinding{KID: m.cfg.BindingID, Key: m.cfg.BindingKey}
	}
	_, err := client.Register(ctx, account, protocol.AcceptTOS)
	if err != nil && !errors.Is(err, protocol.ErrAccountAlreadyExists) {
		return fmt.Errorf("acme: account: %w", err)
	}
	return nil
}

func identifiers(names []string) (ids []protocol.AuthzID) {
	for _, name := range names {
		if net.ParseIP(name) != nil {
			ids = append(ids, protocol.IPIDs(name)...)
		} else {
			ids = append(ids, protocol.DomainIDs(name)...)
		}
	}
	return ids
}

func certificateRequest(key signer, names []string) ([]byte, error) {
	t := new(x509.CertificateRequest)
	for _, name := range names {
		if ip := net.ParseIP(name); ip != nil {
			t.IPAddresses = append(t.IPAddresses, ip)
		} else {
			t.DNSNames = append(t.DNSNames, name)
		}
	}
	return x509.CreateCertificateRequest(rand.Reader, t, key)
}

// authorize proves to the authority that a name is ours.
func (m *Manager) authorize(ctx context.Context, client *protocol.Client, url string) error {
	z, err := client.GetAuthorization(ctx, url)
	if err != nil {
		return fmt.Errorf("acme: authorization: %w", err)
	}
	if z.Status == protocol.StatusValid {
		return nil
	}
	for _, c := range z.Challenges {
		if c.Type != m.cfg.Challenge {
			continue
		}
		done, err := m.answer(ctx, client, c, z.Identifier.Value)
		if err != nil {
			return fmt.Errorf("acme: %s for %s: %w", c.Type, z.Identifier.Value, err)
		}
		defer done()
		if _, err := client.Accept(ctx, c); err != nil {
			return fmt.Errorf("acme: %s for %s: %w", c.Type, z.Identifier.Value, err)
		}
		if _, err := client.WaitAuthorization(ctx, z.URI); err != nil {
			return fmt.Errorf("acme: %s for %s: %w", c.Type, z.Identifier.Value, err)
		}
		return nil
	}
	return fmt.Errorf("acme: the authority does not offer %s for %s", m.cfg.Challenge, z.Identifier.Value)
}

// write keeps a certificate that fits. The key goes first, and a reader who
// meets the one without the other keeps what it had.
func (m *Manager) write(der [][]byte, keyText []byte, key signer) error {
	var chain []*x509.Certificate
	for _, one := range der {
		c, err := x509.ParseCertificate(one)
		if err != nil {
			return fmt.Errorf("acme: what the authority sent is no certificate: %w", err)
		}
		chain = append(chain, c)
	}
	if len(chain) == 0 {
		return errors.New("acme: the authority sent no certificate")
	}
	type equal interface{ Equal(crypto.PublicKey) bool }
	if public, ok := key.Public().(equal); !ok || !public.Equal(chain[0].PublicKey) {
		return errors.New("acme: the authority's certificate is for another key")
	}
	if missing := pki.Missing(chain[0], m.cfg.Names); len(missing) > 0 {
		return fmt.Errorf("acme: the authority's certificate is not for %v", missing)
	}
	files := FilesIn(m.cfg.Dir)
	if err := statedir.Write(files.Key, keyText, statedir.Secret); err != nil {
		return err
	}
	return statedir.Write(files.Certificate, pki.PEM(chain...), statedir.Public)
}
