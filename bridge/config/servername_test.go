package config

import (
	"strings"
	"testing"
)

// TestServerName has what users write for a server, and what they are told.
func TestServerName(t *testing.T) {
	for text, want := range map[string]string{
		"192.0.2.1": "", "2001:db8::1": "", "fe80::1%eth0": "", "ntp1.example.org": "", "ntp1.example.org.": "", "ntp_1": "", "a-1": "",
		"4.pool.example.org": "", "3com.example": "",
		"": "is missing", "[2001:db8::1]": "brackets", "[fd95::1]:4460": "brackets", "host:123": "has a port",
		"192.0.2.1:123":           "has a port",
		"https://ntp.example.org": "URL", "192.0.2.0/24": "network", "a b": "' ' is not of one", "a..b": "between two dots",
		".": "between two dots", "10.0.0.256": "neither", "10.1": "neither", "a;b": "';' is not of one", "ü.example": "'ü' is not of one",
		strings.Repeat("a", 64): "longer", strings.Repeat("a.", 200): "longer", "2001:db8::zz": "neither", "a\x1bb": "neither",
	} {
		err := ServerName(text)
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
		_, err = Parse("x.yaml", "/", []byte("sources:\n  - server: \""+strings.ReplaceAll(text, "\x1b", `\e`)+"\"\n"))
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), "sources[0].server") {
			t.Errorf("%q: read: %v", text, err)
		}
	}
}
