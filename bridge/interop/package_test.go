package interop

import (
	"compress/gzip"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestDebianPackage makes a package, unpacks it, and finds a program in it that
// takes the configuration of the package, units that systemd understands, and
// man pages that say what --help says.
func TestDebianPackage(t *testing.T) {
	program, err := build()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := exec.LookPath("dpkg-deb"); err != nil {
		t.Skip("no dpkg-deb on this machine")
	}
	dir := t.TempDir()
	run := func(args ...string) string {
		t.Helper()
		out, err := exec.Command(args[0], args[1:]...).CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %v: %s", args, err, out)
		}
		return string(out)
	}
	deb, root := filepath.Join(dir, "n.deb"), filepath.Join(dir, "root")
	run("sh", filepath.Join(repository(), "configs", "packaging", "deb.sh"), program, "1.2", deb)
	run("dpkg-deb", "-R", deb, root)
	own := filepath.Join(root, "usr/sbin/ntsbridge")
	run(own, "check", "--offline", "-c", filepath.Join(root, "etc/ntsbridge/ntsbridge.yaml"), "--state-dir", dir, "--run-dir", dir)
	for _, script := range []string{"postinst", "prerm", "postrm"} {
		run("sh", "-n", filepath.Join(root, "DEBIAN", script))
	}
	purge := exec.Command("sh", filepath.Join(root, "DEBIAN/postrm"), "purge")
	if out, err := purge.CombinedOutput(); err != nil || strings.Contains(string(out), "rm ") {
		t.Errorf("purge: %v: %s", err, out)
	}
	for _, command := range []string{"", "serve", "check", "convert", "sources", "clients"} {
		args, page := []string{"--help"}, "ntsbridge.1.gz"
		if command != "" {
			args, page = []string{command, "--help"}, "ntsbridge-"+command+".1.gz"
		}
		help := run(append([]string{own}, args...)...)
		f, err := os.Open(filepath.Join(root, "usr/share/man/man1", page))
		if err != nil {
			t.Fatal(err)
		}
		z, err := gzip.NewReader(f)
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(z)
		f.Close()
		if err != nil {
			t.Fatal(err)
		}
		plain := strings.NewReplacer(`\-`, "-", `\e`, `\`, `\&`, "").Replace(string(text))
		if !strings.Contains(plain, help) {
			t.Errorf("%s does not say what --help says", page)
		}
	}
}
