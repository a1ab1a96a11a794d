package control

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"

	"ntsbridge/bridge/control/remote"
	"ntsbridge/bridge/statedir"
)

// RemoteOptions say how a gateway is asked over HTTPS.
type RemoteOptions struct {
	URL       string // https://HOST:PORT
	TokenFile string // with a token, mode 0600; empty: none
	CA        string // PEM file of authorities for its certificate; empty: those of the system
	Cert, Key string // PEM files of a certificate to show; empty: none
}

// NewRemoteClient returns a client for a gateway on another host.
func NewRemoteClient(o RemoteOptions) (*Client, error) {
	base, err := parseGateway(o.URL)
	if err != nil {
		return nil, err
	}
	if o.TokenFile == "" && o.Cert == "" {
		return nil, fmt.Errorf("%s lets in who shows a token or a certificate: give --token-file, or --api-cert and --api-key", base)
	}
	c := &tls.Config{MinVersion: tls.VersionTLS13}
	if o.CA != "" {
		if c.RootCAs, err = remote.ReadAuthorities(o.CA); err != nil {
			return nil, fmt.Errorf("--api-ca: %w", err)
		}
	}
	if (o.Cert == "") != (o.Key == "") {
		return nil, errors.New("--api-cert and --api-key go together")
	}
	if o.Cert != "" {
		pair, err := tls.LoadX509KeyPair(o.Cert, o.Key)
		if err != nil {
			return nil, fmt.Errorf("--api-cert, --api-key: %w", err)
		}
		c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &pair, nil }
	}
	var by http.RoundTripper = &http.Transport{TLSClientConfig: c, DisableKeepAlives: true, TLSHandshakeTimeout: clientTimeout,
		Proxy: http.ProxyFromEnvironment}
	if o.TokenFile != "" {
		token, err := readToken(o.TokenFile)
		if err != nil {
			return nil, fmt.Errorf("--token-file: %w", err)
		}
		by = &bearer{by, token}
	}
	// A redirection would carry the token elsewhere.
	stay := func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &Client{path: base, base: base, http: &http.Client{Timeout: clientTimeout, Transport: by, CheckRedirect: stay}}, nil
}

// parseGateway reads the URL of a gateway.
func parseGateway(text string) (string, error) {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" ||
		strings.Trim(u.Path, "/") != "" {
		return "", fmt.Errorf("--gateway %.200q is not https://HOST:PORT", text)
	}
	return "https://" + u.Host, nil
}

// maxTokenFile bounds a file with a token, octets.
const maxTokenFile = 4096

// readToken reads a file with nothing but a token.
func readToken(path string) (string, error) {
	text, err := statedir.ReadSecret(path)
	if err != nil {
		return "", err
	}
	token := strings.TrimSpace(string(text))
	if token == "" || len(text) > maxTokenFile || strings.ContainsFunc(token, func(c rune) bool { return c <= ' ' || c > '~' }) {
		return "", fmt.Errorf("%s must hold the token and nothing else, as `ntsbridge secret token` prints it", path)
	}
	return token, nil
}

// bearer shows a token with each request.
type bearer struct {
	http.RoundTripper
	token string
}

// String keeps the token out of what is printed.
func (b *bearer) String() string { return "bearer" }

func (b *bearer) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+b.token)
	return b.RoundTripper.RoundTrip(r)
}

// unreached says why a gateway could not be asked, and what to do.
func (c *Client) unreached(err error) error {
	var unknown x509.UnknownAuthorityError
	var name x509.HostnameError
	switch {
	case os.IsTimeout(err):
		return fmt.Errorf("%w from %s within %v: is the address right, and does a firewall let it through?", ErrNoAnswer, c.path, clientTimeout)
	case errors.As(err, &unknown):
		return fmt.Errorf("%s shows a certificate that is not trusted here: %w: give its authority's with --api-ca", c.path, unknown)
	case errors.As(err, &name):
		return fmt.Errorf("%s shows a certificate for other names: %w: use one of them in --gateway", c.path, name)
	}
	return fmt.Errorf("%w from %s: %w: is api.listen set there, and the port right?", ErrNoAnswer, c.path, cause(err))
}

// notAllowed adds to a refusal what to do here.
func (c *Client) notAllowed(status int, err error) error {
	switch status {
	case http.StatusUnauthorized:
		return fmt.Errorf("%s does not know who asks: %w", c.path, err)
	case http.StatusForbidden:
		return fmt.Errorf("%s does not allow that: %w", c.path, err)
	case http.StatusTooManyRequests:
		return fmt.Errorf("%s: %w", c.path, err)
	}
	return err
}
