package page

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"fmt"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
	"github.com/hashicorp/go-hclog"

	"ntsbridge/bridge/control/remote"
	"ntsbridge/bridge/fleet/history"
	"ntsbridge/bridge/nke"
	"ntsbridge/bridge/nke/pki"
)

// Names that the browser of a test takes for this host: that of a gateway, and
// one of somebody else.
const (
	gatewayName = "gateway.example.net"
	evilName    = "evil.example.org"
)

// ownAuthority is the authority that the browser trusts, as one of a site.
var ownAuthority = sync.OnceValue(func() *pki.Authority { return newAuthority("Example Site") })

func newAuthority(name string) *pki.Authority {
	text, err := pki.NewKey()
	if err != nil {
		panic(err)
	}
	key, err := pki.ParseKey(text)
	if err != nil {
		panic(err)
	}
	a, err := pki.NewRoot(name, key, 0, time.Now(), 1)
	if err != nil {
		panic(err)
	}
	return a
}

// trusted is what a browser is told to trust.
func trusted() string {
	sum := sha256.Sum256(ownAuthority().Certificate.RawSubjectPublicKeyInfo)
	return base64.StdEncoding.EncodeToString(sum[:])
}

// issue writes a certificate of a gateway, with its authority's.
func issue(t testing.TB, a *pki.Authority) nke.Files {
	t.Helper()
	text, err := pki.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	key, err := pki.ParseKey(text)
	if err != nil {
		t.Fatal(err)
	}
	chain, err := a.Issue(&pki.Server{Names: []string{gatewayName}, Days: 30, Before: time.Hour}, key.Public(), true, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	f := nke.Files{Certificate: filepath.Join(dir, "page.pem"), Key: filepath.Join(dir, "page.key")}
	for path, text := range map[string][]byte{f.Certificate: pki.PEM(chain...), f.Key: text} {
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return f
}

// servedTLS is a page over HTTPS.
func (w *world) servedTLS(a *pki.Authority) (base, token string) {
	w.t.Helper()
	s := &remote.Settings{Files: []nke.Files{issue(w.t, a)}}
	addr, token := w.serve(s)
	return fmt.Sprintf("https://%s:%d", gatewayName, addr.Port()), token
}

// serve is served with other settings.
func (w *world) serve(s *remote.Settings) (addr netip.AddrPort, token string) {
	w.t.Helper()
	token, entry, err := remote.NewToken("ops", remote.Write)
	if err != nil {
		w.t.Fatal(err)
	}
	if s.Tokens, err = remote.ParseTokens([]byte(entry)); err != nil {
		w.t.Fatal(err)
	}
	s.Listen, s.Connections = []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:0")}, 64
	o := Options{Name: "gw1.example.net", Version: "1.0", Now: func() time.Time { return w.now }, Log: hclog.NewNullLogger()}
	r, err := remote.New(New(&w.src, o), o.Log)
	if err != nil {
		w.t.Fatal(err)
	}
	change := r.Prepare(s)
	if len(change.Failed) > 0 {
		w.t.Fatal(change.Failed)
	}
	change.Commit()
	w.t.Cleanup(func() {
		w.src.Events.Close()
		_ = r.Close()
	})
	return r.Addresses()[0], token
}

// last is the newest entry of the history.
func (w *world) last() *history.Entry {
	w.t.Helper()
	last := new(history.Entry)
	if _, err := w.migration.History(func(e *history.Entry) error { last = e; return nil }); err != nil {
		w.t.Fatal(err)
	}
	return last
}

// text is what a page shows.
func text(t testing.TB, ctx context.Context) string {
	t.Helper()
	s, err := chromedp.Run(ctx, chromedp.Evaluate[string](`document.body ? document.body.innerText : ""`))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// until waits for a page that shows something.
func until(t testing.TB, ctx context.Context, want string) {
	t.Helper()
	for end := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
		s, err := chromedp.Run(ctx, chromedp.Evaluate[string](`document.readyState == "complete" && document.body ? document.body.innerText : ""`))
		if err == nil && strings.Contains(s, want) {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("it shows %q and not %q, %v", s, want, err)
		}
	}
}

// Over HTTPS nothing is shown before the login; its cookie is for this host, TLS
// and this site alone, no script sees it, and it ends with the logout, after
// which the browser has nothing left to show.
func browserLogsIn(t *testing.T, ctx context.Context) {
	w := newWorld(t, 60)
	base, token := w.servedTLS(ownAuthority())
	if err := chromedp.Do(ctx, show(1280, "light"), chromedp.Navigate(base+"/clients?kind=nts")); err != nil {
		t.Fatal(err)
	}
	if s := text(t, ctx); !strings.Contains(s, "With a token of api.tokens") || strings.Contains(s, "10.0.0.") ||
		strings.Contains(s, "synchronised") {
		t.Errorf("a stranger sees %q", s)
	}
	heard := complaints(t, ctx)
	enter := func(token string) {
		t.Helper()
		if err := chromedp.Do(ctx, chromedp.SendKeys(chromedp.CSS("#token"), token+"\r")); err != nil {
			t.Fatal(err)
		}
	}
	enter("ntsb_" + strings.Repeat("0", 64))
	until(t, ctx, "no such token")
	heard() // that of 401
	if err := chromedp.Do(ctx, chromedp.Navigate(base+"/clients?kind=nts")); err != nil {
		t.Fatal(err)
	}
	enter(token)
	until(t, ctx, "Export all")
	at, err := chromedp.Run(ctx, chromedp.Location())
	if err != nil || !strings.HasSuffix(at, "/clients?kind=nts") {
		t.Errorf("the login leads to %s, %v", at, err)
	}
	heard()
	got, err := chromedp.Call(ctx, network.GetCookies, network.GetCookiesParams{})
	if err != nil || len(got.Cookies) != 1 {
		t.Fatalf("%+v, %v", got, err)
	}
	if c := got.Cookies[0]; c.Name != "__Host-ntsbridge" || !c.Secure || !c.HTTPOnly || c.SameSite != network.CookieSameSiteStrict ||
		!c.Session || c.Path != "/" || c.Domain != gatewayName {
		t.Errorf("%+v", c)
	}
	if seen, err := chromedp.Run(ctx, chromedp.Evaluate[string](`document.cookie`)); err != nil || seen != "" {
		t.Errorf("a script sees %q, %v", seen, err)
	}
	out := chromedp.CSS(`form[action="/logout"] button`)
	if err := chromedp.Do(ctx, chromedp.Navigate(base+"/migration"), chromedp.Click(out)); err != nil {
		t.Fatal(err)
	}
	until(t, ctx, "With a token of api.tokens")
	if list := heard(); len(list) > 0 {
		t.Errorf("the browser complains: %q", list)
	}
	if err := chromedp.Do(ctx, chromedp.NavigateBack()); err != nil {
		t.Fatal(err)
	}
	until(t, ctx, "With a token of api.tokens")
	if s := text(t, ctx); strings.Contains(s, "frankfurt") {
		t.Errorf("after the logout, the way back shows %q", s)
	}
	got, err = chromedp.Call(ctx, network.GetCookies, network.GetCookiesParams{})
	if err != nil || len(got.Cookies) != 0 {
		t.Errorf("%+v, %v", got, err)
	}
	other := newWorld(t, 1)
	base, _ = other.servedTLS(newAuthority("Somebody"))
	if err := chromedp.Do(ctx, chromedp.Navigate(base+"/")); err == nil || !strings.Contains(err.Error(), "ERR_CERT_AUTHORITY_INVALID") {
		t.Errorf("a certificate of somebody else: %v", err)
	}
}

// evil is a web site of somebody who wants that all is held: it sends the form
// by itself, by a script with the cookies, and by a person's click through a
// frame.
const evil = `<!doctype html><title>evil</title><iframe id="frame" src="%[1]s/migration"></iframe>
<form id="f" method="post" action="%[1]s/migration/act"><input name="do" value="hold"><input name="reason" value="evil">
<input name="form" value="%[2]s"></form>
<form id="login" method="post" action="%[1]s/login"><input name="token" value="%[3]s"></form>
<p id="out">waiting</p><script>
(async () => {
  let out = [];
  for (const [path, options] of [["/", {}], ["/clients.json", {mode: "no-cors"}],
      ["/migration/act", {method: "POST", mode: "no-cors", body: new URLSearchParams("do=hold&reason=evil&form=%[2]s")}]]) {
    try {
      const r = await fetch("%[1]s" + path, {credentials: "include", ...options});
      out.push(path + " " + r.type + " " + (await r.text()).length);
    } catch (e) { out.push(path + " refused"); }
  }
  let framed = "blocked";
  try { if (document.getElementById("frame").contentDocument.body.innerText.includes("Hold")) framed = "seen"; } catch (e) { }
  document.getElementById("out").textContent = "done: " + out.join(", ") + "; frame " + framed;
})();
</script>`

// Another web site moves nothing and reads nothing, also when somebody who may
// write is logged in, and also where it is of the same site, so that the
// browser sends the cookie along.
func browserRefusesOthers(t *testing.T, ctx context.Context) {
	w := newWorld(t, 60)
	base, token := w.servedTLS(ownAuthority())
	logIn(t, ctx, base, token)
	form, err := chromedp.Run(ctx, chromedp.Evaluate[string](`document.querySelector('form[action="/logout"] input[name="form"]').value`))
	if err != nil {
		t.Fatal(err)
	}
	// The worst case: it even knows what forms carry.
	bad := http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		rw.Header().Set("Content-Type", "text/html")
		fmt.Fprintf(rw, evil, base, form, token)
	})
	plain := httptest.NewServer(bad)
	defer plain.Close()
	pair, err := tls.LoadX509KeyPair(pairOf(issue(t, ownAuthority())))
	if err != nil {
		t.Fatal(err)
	}
	near := httptest.NewUnstartedServer(bad)
	near.TLS = &tls.Config{Certificates: []tls.Certificate{pair}}
	near.StartTLS()
	defer near.Close()
	before := w.last().Number
	port := func(s *httptest.Server) string { u, _ := url.Parse(s.URL); return u.Port() }
	for name, origin := range map[string]string{"another site": "http://" + evilName + ":" + port(plain),
		"another port of the same host": "https://" + gatewayName + ":" + port(near)} {
		heard := complaints(t, ctx)
		if err := chromedp.Do(ctx, chromedp.Navigate(origin+"/")); err != nil {
			t.Fatal(name, err)
		}
		until(t, ctx, "done: ")
		s := text(t, ctx)
		if !strings.Contains(s, "/ refused") || strings.Contains(s, "clients.json opaque 1") || !strings.Contains(s, "frame blocked") {
			t.Errorf("%s: %s", name, s)
		}
		if list := strings.Join(heard(), "\n"); !strings.Contains(list, "frame-ancestors") {
			t.Errorf("%s: the browser does not refuse to frame it: %s", name, list)
		}
		for _, send := range []string{"f", "login"} {
			if err := chromedp.Do(ctx, chromedp.Navigate(origin+"/")); err != nil {
				t.Fatal(name, err)
			}
			until(t, ctx, "done: ")
			if _, err := chromedp.Run(ctx, chromedp.Evaluate[bool](`document.getElementById("`+send+`").submit(), true`)); err != nil {
				t.Fatal(name, err)
			}
			until(t, ctx, "the form is not one of this page")
		}
		if e := w.last(); e.Number != before {
			t.Errorf("%s has done %+v", name, e)
		}
	}
	if err := chromedp.Do(ctx, chromedp.Navigate(base+"/migration/confirm?do=hold"),
		chromedp.SendKeys(chromedp.CSS("#reason"), "ours\r")); err != nil {
		t.Fatal(err)
	}
	until(t, ctx, "ours")
	if e := w.last(); e.Why != "ours" || e.Who != "token ops (127.0.0.1), on the page" {
		t.Errorf("%+v", e)
	}
}

func pairOf(f nke.Files) (certificate, key string) { return f.Certificate, f.Key }

// At a local address a name of somebody else's that points here gets nothing.
func browserRefusesNames(t *testing.T, ctx context.Context) {
	w := newWorld(t, 20)
	base, _ := w.served()
	u, err := url.Parse(base)
	if err != nil {
		t.Fatal(err)
	}
	if err := chromedp.Do(ctx, chromedp.Navigate("http://"+evilName+":"+u.Port()+"/clients")); err != nil {
		t.Fatal(err)
	}
	if s := text(t, ctx); !strings.Contains(s, "answers to localhost and to addresses of loopback alone") ||
		strings.Contains(s, "10.0.0.") {
		t.Errorf("somebody else's name shows %q", s)
	}
	if err := chromedp.Do(ctx, chromedp.Navigate("http://localhost:"+u.Port()+"/clients")); err != nil {
		t.Fatal(err)
	}
	if s := text(t, ctx); !strings.Contains(s, "10.0.0.") {
		t.Errorf("localhost shows %q", s)
	}
}

// Guesses are slowed down, and who has a right token is let in all the same.
func browserGuesses(t *testing.T, ctx context.Context) {
	w := newWorld(t, 5)
	base, token := w.servedTLS(ownAuthority())
	if err := chromedp.Do(ctx, chromedp.Navigate(base+"/login")); err != nil {
		t.Fatal(err)
	}
	guess := `(async () => {
  const list = [];
  for (let i = 0; i < 14; i++) {
    const r = await fetch("/login", {method: "POST", body: new URLSearchParams("token=ntsb_guess" + i)});
    list.push(r.status + (r.headers.get("Retry-After") || ""));
  }
  return list.join(" ");
})()`
	got, err := chromedp.Run(ctx, chromedp.Evaluate[string](guess, chromedp.EvalAwaitPromise))
	if err != nil || !strings.HasPrefix(got, "401 401 ") || !strings.HasSuffix(got, " 4296") {
		t.Errorf("%q, %v", got, err)
	}
	logIn(t, ctx, base, token)
}

// Who shows a certificate of clients_ca that may write needs no login; what it
// sends has to be a form of this page, too.
func TestCertificateOnThePage(t *testing.T) {
	w := newWorld(t, 30)
	pool, own := x509.NewCertPool(), ownAuthority()
	pool.AddCert(own.Certificate)
	addr, _ := w.serve(&remote.Settings{Files: []nke.Files{issue(t, own)}, Authorities: pool, Writers: []string{"ops"}})
	c := &tls.Config{RootCAs: pool, ServerName: gatewayName, Certificates: []tls.Certificate{operator(t, own)}}
	b := newBrowser(t, "https://"+addr.String())
	b.Transport = &http.Transport{TLSClientConfig: c, DisableKeepAlives: true}
	status, body := b.do("GET", "/migration/confirm?do=hold", nil)
	if status != http.StatusOK || !regexp.MustCompile(`you are certificate ops \(127.0.0.1\), who may write`).MatchString(body) {
		t.Fatalf("%d %s", status, body)
	}
	v := url.Values{"do": {"hold"}, "reason": {"by certificate"}, "form": {b.form}}
	if status, _ := b.do("POST", "/migration/act", v, "Sec-Fetch-Site", "cross-site"); status != http.StatusForbidden {
		t.Errorf("another site: %d", status)
	}
	v.Set("form", "")
	if status, _ := b.do("POST", "/migration/act", v); status != http.StatusForbidden {
		t.Errorf("no form: %d", status)
	}
	v.Set("form", b.form)
	if status, _ := b.do("POST", "/migration/act", v); status != http.StatusSeeOther {
		t.Errorf("%d", status)
	}
	if e := w.last(); e.Who != "certificate ops (127.0.0.1), on the page" || e.Why != "by certificate" {
		t.Errorf("%+v", e)
	}
}

// operator is a certificate of somebody who may write.
func operator(t *testing.T, a *pki.Authority) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	of := &x509.Certificate{SerialNumber: big.NewInt(77), Subject: pkix.Name{CommonName: "ops"}, NotBefore: time.Now().Add(-time.Hour),
		NotAfter: time.Now().Add(time.Hour), ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}
	der, err := x509.CreateCertificate(rand.Reader, of, a.Certificate, key.Public(), a.Key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}
