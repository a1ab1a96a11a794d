package interop

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
)

// What systemd 252 says of the exposure of the units is what configs/README.md says.
func TestUnitsExposure(t *testing.T) {
	system := RequirePeers(t).root(systemdRoot)
	configs := filepath.Join(repository(), "configs")
	const onlyClock = "[Service]\nAmbientCapabilities=\nAmbientCapabilities=CAP_SYS_TIME\n" +
		"CapabilityBoundingSet=\nCapabilityBoundingSet=CAP_SYS_TIME\n"
	socket, err := os.ReadFile(filepath.Join(configs, "observe-socket.conf"))
	if err != nil {
		t.Fatal(err)
	}
	least, err := os.ReadFile(filepath.Join(configs, "least-rights.conf"))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, unit, dropIn string
		tenths             int
	}{
		{"observe", "ntsbridge-observe.service", "", 18},
		{"observe by socket", "ntsbridge-observe.service", string(socket), 15},
		{"discipline", "ntsbridge.service", "", 22},
		{"discipline by socket", "ntsbridge.service", onlyClock, 21},
		{"discipline with the clock apart", "ntsbridge.service", string(least), 15},
		{"the clock apart", "ntsbridge-clock.service", "", 12},
		{"the least of clock and network", "ntsbridge.service", onlyClock + "ProtectProc=invisible\nRootDirectory=/x\n", 19},
	} {
		t.Run(c.name, func(t *testing.T) {
			root, err := os.MkdirTemp(filepath.Join(system, "tmp"), "units")
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = os.RemoveAll(root) })
			units := filepath.Join(root, "etc/systemd/system")
			unit, err := os.ReadFile(filepath.Join(configs, c.unit))
			if err != nil {
				t.Fatal(err)
			}
			for path, text := range map[string]string{c.unit: string(unit), c.unit + ".d/more.conf": c.dropIn} {
				path = filepath.Join(units, path)
				if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			analyze := func(threshold int) (string, error) {
				out, err := exec.Command("chroot", system, "systemd-analyze", "security", "--no-pager", "--offline=true",
					"--root=/tmp/"+filepath.Base(root), "--threshold="+strconv.Itoa(threshold), c.unit).CombinedOutput()
				return string(out), err
			}
			if out, err := analyze(c.tenths); err != nil {
				t.Errorf("above %d tenths: %v\n%s", c.tenths, err, out)
			}
			if out, err := analyze(c.tenths - 1); err == nil {
				t.Errorf("below %d tenths: say so in configs/README.md\n%s", c.tenths, out)
			}
		})
	}
}
