package interop

import (
	"compress/gzip"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
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
		missing(t, "no dpkg-deb on this machine")
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

// TestImage makes a container image, unpacks its layer, and has the program
// serve and be healthy in there, as the user of the image, with nothing else
// around it. Made again, it is the same to the octet.
func TestImage(t *testing.T) {
	program, err := build()
	if err != nil {
		t.Fatal(err)
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
	script := filepath.Join(repository(), "configs", "packaging", "image.sh")
	first, second := filepath.Join(dir, "1.tar"), filepath.Join(dir, "2.tar")
	run("sh", script, program, "1.2", first)
	run("sh", script, program, "1.2", second)
	run("cmp", first, second)
	layout := filepath.Join(dir, "oci")
	run("mkdir", layout)
	run("tar", "xf", first, "-C", layout)
	type descriptor struct {
		Digest string `json:"digest"`
		Size   int64  `json:"size"`
	}
	blob := func(d descriptor, into any) string {
		t.Helper()
		path := filepath.Join(layout, "blobs", strings.Replace(d.Digest, ":", "/", 1))
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if sum := fmt.Sprintf("sha256:%x", sha256.Sum256(text)); sum != d.Digest || int64(len(text)) != d.Size {
			t.Errorf("blob %s of %d octets is %s of %d", d.Digest, d.Size, sum, len(text))
		}
		if into != nil {
			if err := json.Unmarshal(text, into); err != nil {
				t.Fatal(err)
			}
		}
		return path
	}
	var index struct{ Manifests []descriptor }
	text, err := os.ReadFile(filepath.Join(layout, "index.json"))
	if err != nil || json.Unmarshal(text, &index) != nil || len(index.Manifests) != 1 {
		t.Fatalf("index.json: %v: %s", err, text)
	}
	var manifest struct {
		Config descriptor
		Layers []descriptor
	}
	blob(index.Manifests[0], &manifest)
	var image struct {
		Config struct {
			User            string
			Entrypoint, Cmd []string
			Healthcheck     struct{ Test []string }
		}
	}
	blob(manifest.Config, &image)
	root := filepath.Join(dir, "root")
	run("mkdir", root)
	run("tar", "xzf", blob(manifest.Layers[0], nil), "-C", root)
	if os.Geteuid() != 0 {
		t.Skip("needs root to change into the image")
	}
	inside := func(args ...string) *exec.Cmd {
		user, _ := strconv.Atoi(image.Config.User)
		cmd := exec.Command(args[0], args[1:]...)
		cmd.Dir, cmd.Env = "/", []string{"STATE_DIRECTORY=/var/lib/ntsbridge", "RUNTIME_DIRECTORY=/run/ntsbridge"}
		cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: root, Cloneflags: syscall.CLONE_NEWNET | syscall.CLONE_NEWNS,
			Credential: &syscall.Credential{Uid: uint32(user), Gid: uint32(user)}}
		return cmd
	}
	var log strings.Builder
	daemon := inside(append(image.Config.Entrypoint, image.Config.Cmd...)...)
	daemon.Stderr = &log
	if err := daemon.Start(); err != nil {
		t.Fatal(err)
	}
	Await(t, limit, Condition{"health check", func() error {
		if out, err := inside(image.Config.Healthcheck.Test[1:]...).CombinedOutput(); err != nil {
			return fmt.Errorf("%w: %s", err, out)
		}
		return nil
	}})
	if err := daemon.Process.Signal(syscall.SIGTERM); err != nil {
		t.Error(err)
	}
	if err := daemon.Wait(); err != nil || !strings.Contains(log.String(), "CAP_NET_BIND_SERVICE") {
		t.Errorf("%v; without the capability it says why its ports are high ones: %s", err, log.String())
	}
}

// TestRPM makes a package where there is rpmbuild, and finds in it what the other
// package has, at the places of that world.
func TestRPM(t *testing.T) {
	program, err := build()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := exec.LookPath("rpmbuild"); err != nil {
		missing(t, "no rpmbuild on this machine: install rpm (Debian) or rpm-build (Fedora)")
	}
	out := filepath.Join(t.TempDir(), "n.rpm")
	made, err := exec.Command("sh", filepath.Join(repository(), "configs", "packaging", "rpm.sh"), program, "1.2", out).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, made)
	}
	list, err := exec.Command("rpm", "-qlp", out).Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{"/usr/sbin/ntsbridge", "/usr/lib/systemd/system/ntsbridge.service",
		"/usr/lib/systemd/system/ntsbridge.socket",
		"/usr/lib/sysusers.d/ntsbridge.conf", "/usr/share/man/man1/ntsbridge.1.gz", "/usr/share/man/man5/ntsbridge.yaml.5.gz",
		"/usr/share/zsh/site-functions/_ntsbridge", "/etc/ntsbridge/ntsbridge.yaml"} {
		if !strings.Contains(string(list), file+"\n") {
			t.Errorf("%s is not in it:\n%s", file, list)
		}
	}
	if configs, err := exec.Command("rpm", "-qcp", out).Output(); err != nil || string(configs) != "/etc/ntsbridge/ntsbridge.yaml\n" {
		t.Errorf("configuration files: %s %v", configs, err)
	}
}

// missing skips a test whose tool is not here; where all are required it fails.
func missing(t *testing.T, why string) {
	t.Helper()
	if os.Getenv(requireVariable) == "1" {
		t.Fatalf("%s=1, but %s", requireVariable, why)
	}
	t.Skip(why)
}
