package bridge

import "testing"

func TestVersion(t *testing.T) {
	for _, c := range []struct {
		module   string
		settings map[string]string
		want     string
	}{
		{"(devel)", nil, "ntsbridge devel"},
		{"", map[string]string{"vcs.revision": "0123456789abcdef0123", "vcs.time": "2026-11-29T12:00:00Z", "vcs.modified": "true"},
			"ntsbridge 0123456789ab 2026-11-29 modified"},
		{"v1.2.3", map[string]string{"vcs.revision": "0123", "vcs.modified": "false"}, "ntsbridge v1.2.3"},
	} {
		if got := version(c.module, c.settings); got != c.want {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
}
