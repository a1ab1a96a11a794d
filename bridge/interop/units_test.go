package interop

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// What systemd 252 says of the exposure of the units is what configs/README.md says.
func TestUnitsExposure(t *testing.T) {
	system := RequirePeers(t).root(systemdRoot)
	configs := filepath.Join(repository(), "configs")
	for _, c := range []struct{ name, unit, dropIn, threshold string }{
		{"observe", "ntsbridge-observe.service", "", "18"},
		{"observe by socket", "ntsbridge-observe.service", "observe-socket.conf", "15"},
		{"discipline", "ntsbridge.service", "", "22"},
	} {
		t.Run(c.name, func(t *testing.T) {
			root, err := os.MkdirTemp(filepath.Join(system, "tmp"), "units")
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = os.RemoveAll(root) })
			units := filepath.Join(root, "etc/systemd/system")
			files := map[string]string{c.unit: c.unit}
			if c.dropIn != "" {
				files[c.dropIn] = c.unit + ".d/socket.conf"
			}
			for from, to := range files {
				text, err := os.ReadFile(filepath.Join(configs, from))
				if err != nil {
					t.Fatal(err)
				}
				path := filepath.Join(units, to)
				if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(path, text, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			out, err := exec.Command("chroot", system, "systemd-analyze", "security", "--no-pager", "--offline=true",
				"--root=/tmp/"+filepath.Base(root), "--threshold="+c.threshold, c.unit).CombinedOutput()
			if err != nil {
				t.Errorf("above %s tenths: %v\n%s", c.threshold, err, out)
			}
		})
	}
}
