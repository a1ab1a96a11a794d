package acme

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// limiting puts a gate before an ACME server, which refuses orders while it is
// told to, and returns the gate's directory.
func limiting(t *testing.T, p *pebble, limited *atomic.Bool) (directory string, refused *atomic.Int32) {
	t.Helper()
	text, err := os.ReadFile(p.bundle)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(text)
	target, err := url.Parse(p.directory)
	if err != nil {
		t.Fatal(err)
	}
	target.Path = ""
	proxy := &httputil.ReverseProxy{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}},
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(target)
			r.Out.Host = r.In.Host // the server names its addresses by it
		}}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	refused = new(atomic.Int32)
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if limited.Load() && strings.Contains(r.URL.Path, "order") {
			refused.Add(1)
			w.Header().Set("Retry-After", "7200")
			w.Header().Set("Content-Type", "application/problem+json")
			w.WriteHeader(http.StatusTooManyRequests)
			_, _ = io.WriteString(w, `{"type":"urn:ietf:params:acme:error:rateLimited","detail":"too many certificates","status":429}`)
			return
		}
		proxy.ServeHTTP(w, r)
	})}
	go func() { _ = server.ServeTLS(l, p.bundle+".crt", p.bundle+".key") }()
	t.Cleanup(func() { _ = server.Close() })
	return fmt.Sprintf("https://%s/dir", l.Addr()), refused
}

// An authority that limits the rate is asked once, and again when it said; the
// certificate comes then.
func TestRateLimitOfTheServer(t *testing.T) {
	p := startPebble(t, 3600, nil)
	var limited atomic.Bool
	limited.Store(true)
	cfg := p.config(t, "tick.example.com")
	var refused *atomic.Int32
	cfg.Directory, refused = limiting(t, p, &limited)
	m := run(t, cfg)
	eventually(t, "a failure", func() bool { return m.Status().Error != "" })
	st := m.Status()
	if !strings.Contains(st.Error, "limits the rate") || time.Until(st.Next) < 2*time.Hour-time.Minute || refused.Load() != 1 {
		t.Errorf("%+v; %d orders refused", st, refused.Load())
	}
	m.Look() // who reloads does not ask again
	time.Sleep(100 * time.Millisecond)
	if st := m.Status(); time.Until(st.Next) < 2*time.Hour-time.Minute || refused.Load() != 1 {
		t.Errorf("after a look: %+v; %d orders refused", st, refused.Load())
	}
	limited.Store(false)
	run(t, cfg) // a start of the daemon
	eventually(t, "a certificate", func() bool { return serial(t, &cfg) != nil })
}
