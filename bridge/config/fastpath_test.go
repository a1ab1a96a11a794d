package config

import "testing"

func TestFastpathInterface(t *testing.T) {
	for _, c := range []struct{ text, name, mode string }{
		{"eth0", "eth0", "tcx"}, {"eth0/tcx", "eth0", "tcx"}, {"enp3s0f1/xdp", "enp3s0f1", "xdp"}, {"eth1/xdp+nts", "eth1", "xdp+nts"},
		{"eth0.10", "eth0.10", "tcx"},
		{"", "", ""}, {"/xdp", "", ""}, {"eth0/", "", ""}, {"eth0/XDP", "", ""}, {"eth0/generic", "", ""}, {"eth0/xdp/tcx", "", ""},
		{"eth0/nts", "", ""}, {"sixteen-letters0", "", ""}, {"two words", "", ""}, {"eth0:123", "", ""},
	} {
		name, mode, err := FastpathInterface(c.text)
		if (err == nil) != (c.name != "") || name != c.name || mode != c.mode {
			t.Errorf("%q: %q %q %v, want %q %q", c.text, name, mode, err, c.name, c.mode)
		}
	}
}
