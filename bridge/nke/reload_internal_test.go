package nke

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
)

// The log is told at 30, 7 and 1 days and at the end, once each, and anew of a
// certificate that was renewed.
func TestWarnAhead(t *testing.T) {
	var text bytes.Buffer
	s := &Server{}
	s.config.Store(&Config{Logger: hclog.New(&hclog.LoggerOptions{Output: &text})})
	end := time.Date(2026, 12, 31, 0, 0, 0, 0, time.UTC)
	show := func(from, until time.Time) {
		leaf := &x509.Certificate{NotBefore: from, NotAfter: until}
		s.certs.Store(&Certificates{pairs: []pair{{files: Files{Certificate: "c.pem"}, cert: tls.Certificate{Leaf: leaf}}}})
	}
	lines := func() int { return strings.Count(text.String(), "\n") }
	show(end.AddDate(-1, 0, 0), end)
	for _, step := range []struct {
		left time.Duration
		want int // lines so far
	}{{31 * 24 * time.Hour, 0}, {30 * 24 * time.Hour, 1}, {20 * 24 * time.Hour, 1}, {7 * 24 * time.Hour, 2}, {6 * 24 * time.Hour, 2},
		{24 * time.Hour, 3}, {time.Hour, 3}, {0, 4}, {-time.Hour, 4}} {
		s.warnAhead(end.Add(-step.left))
		if lines() != step.want {
			t.Errorf("%v before the end: %d lines, want %d:\n%s", step.left, lines(), step.want, &text)
		}
	}
	show(end, end.AddDate(1, 0, 0))
	s.warnAhead(end.AddDate(1, 0, -6))
	if lines() != 5 {
		t.Errorf("a renewed one: %d lines", lines())
	}
	// One of six days is told of in its last third only.
	show(end, end.AddDate(0, 0, 6))
	s.warnAhead(end.AddDate(0, 0, 1))
	if lines() != 5 {
		t.Errorf("a short one at its beginning: %d lines", lines())
	}
	s.warnAhead(end.AddDate(0, 0, 5))
	if lines() != 6 {
		t.Errorf("a short one near its end: %d lines", lines())
	}
}
