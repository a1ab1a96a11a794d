package bridge

import (
	"io"
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"ntsbridge/bridge/config"
)

// A daemon serves the page where it is told to, a reload takes it away, and what
// the page needs is not there for strangers.
func TestPage(t *testing.T) {
	cfg := testConfig(t, t.TempDir())
	cfg.Fleet.Enabled = true
	cfg.Page.Listen = []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:0")}
	cfg.Page.Local = config.PageRead
	b := startBridge(t, cfg)
	defer b.Close()
	exchange(t, b, plainRequest())
	base := "http://" + b.page.Addresses()[0].String()
	get := func(path string) (int, string) {
		t.Helper()
		resp, err := http.Get(base + path)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		text, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, string(text)
	}
	for _, path := range []string{"/", "/clients", "/client?address=127.0.0.1", "/migration", "/sources", "/keys",
		"/history", "/clients.csv"} {
		if status, text := get(path); status != http.StatusOK {
			t.Errorf("%s: %d %s", path, status, text)
		}
	}
	if status, text := get("/clients"); status != 200 || !strings.Contains(text, ">127.0.0.1</a>") {
		t.Errorf("the client is not there: %s", text)
	}
	if status, _ := get("/migration/confirm?do=hold"); status != http.StatusForbidden {
		t.Errorf("somebody on this host may hold: %d", status)
	}
	closed := *cfg
	closed.Page.Local = config.PageNone
	if err := b.Reload(&closed); err != nil {
		t.Fatal(err)
	}
	if status, text := get("/"); status != http.StatusUnauthorized || !strings.Contains(text, `name="token"`) {
		t.Errorf("local: none: %d", status)
	}
	off := *cfg
	off.Page.Listen = nil
	if err := b.Reload(&off); err != nil {
		t.Fatal(err)
	}
	if len(b.page.Addresses()) != 0 {
		t.Error("it is served still")
	}
}
