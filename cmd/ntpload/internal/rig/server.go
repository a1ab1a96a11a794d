//go:build linux

package rig

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"ntsbridge/bridge/fleet/migration"
)

// Spec is a server to be measured, as given on the command line:
//
//	chronyd[,bin=PATH][,root=DIR][,noclientlog][,bound]
//	ntsbridge[,bin=PATH][,bound][,noclients][,limited][,planned][,fastpath=MODE]
//	echo[,FLAG=VALUE...]
//	exec:COMMAND
//
// root is a directory to chroot into, bound lets the server listen on its one
// address instead of all, noclients keeps no inventory of clients, planned has a
// plan of a migration in force with ten thousand prefixes, fastpath answers in
// the kernel by tcx or xdp, FLAG is a flag of the
// echo responder. COMMAND has its words separated by blanks;
// {dir} stands for a directory with the files keys (chrony.keys format),
// server.crt and server.key, {addr} for the address. It must stay in the
// foreground and serve UDP 123 and TCP 4460.
type Spec struct {
	Text    string
	program string
	options map[string]string
}

var specOptions = map[string][]string{
	"chronyd":   {"bin", "root", "noclientlog", "bound"},
	"ntsbridge": {"bin", "bound", "noclients", "limited", "planned", "fastpath"},
	"echo":      {"wait", "batch", "raw", "drain", "timestamps", "packet-info", "lock"},
}

// ParseSpec reads a server's specification.
func ParseSpec(text string) (Spec, error) {
	if command, ok := strings.CutPrefix(text, "exec:"); ok {
		return Spec{text, "exec", map[string]string{"command": command}}, nil
	}
	words := strings.Split(text, ",")
	known, ok := specOptions[words[0]]
	if !ok {
		return Spec{}, fmt.Errorf("server %q: %q is none of chronyd, ntsbridge, echo, exec:COMMAND", text, words[0])
	}
	s := Spec{text, words[0], map[string]string{}}
	for _, w := range words[1:] {
		name, value, _ := strings.Cut(w, "=")
		if !slices.Contains(known, name) {
			return Spec{}, fmt.Errorf("server %q: %s has no option %q; it has %s", text, s.program, name, strings.Join(known, ", "))
		}
		s.options[name] = value
	}
	return s, nil
}

// serves reports whether the server can be asked in this way.
func (s Spec) serves(k Kind) bool { return s.program != "echo" || k.Name == "none" }

func (s Spec) has(option string) bool { _, ok := s.options[option]; return ok }

func (s Spec) binary() string {
	if b := s.options["bin"]; b != "" {
		return b
	}
	return s.program
}

// setup is a server's directory, ready to start.
type setup struct {
	link
	dir     string // as this process sees it
	inside  string // as the server sees it
	command []string
}

// prepare makes a directory with the server's files and the command to start
// it in its namespace. self is the path of this program.
func (s Spec) prepare(m *material, l link, self string) (*setup, error) {
	root := s.options["root"]
	if root != "" {
		if err := os.MkdirAll(filepath.Join(root, "tmp"), 0o1777); err != nil {
			return nil, err
		}
	}
	parent := os.TempDir()
	if root != "" {
		parent = filepath.Join(root, "tmp")
	}
	dir, err := os.MkdirTemp(parent, "ntpload-")
	if err != nil {
		return nil, err
	}
	u := &setup{link: l, dir: dir, inside: dir}
	if root != "" {
		u.inside = filepath.Join("/tmp", filepath.Base(dir))
	}
	err = m.write(dir)
	switch s.program {
	case "chronyd":
		err = errors.Join(err, s.chronyd(u))
	case "ntsbridge":
		err = errors.Join(err, s.ntsbridge(u))
	case "echo":
		u.command = []string{self, "echo", "--listen", "0.0.0.0:123"}
		for name, value := range s.options {
			if value == "" {
				value = "true"
			}
			u.command = append(u.command, "--"+name+"="+value)
		}
	case "exec":
		c := strings.NewReplacer("{dir}", dir, "{addr}", u.addr.String()).Replace(s.options["command"])
		u.command = strings.Fields(c)
	}
	if err != nil {
		u.remove()
		return nil, err
	}
	u.command = append([]string{"setpriv", "--bounding-set=-sys_time", "--inh-caps=-sys_time"}, u.command...)
	return u, nil
}

func (u *setup) remove() { _ = os.RemoveAll(u.dir) }

// chronyd never touches the clock (-x). Rate limiting is off unless
// configured; the log of clients is on unless configured.
func (s Spec) chronyd(u *setup) error {
	lines := []string{
		"local stratum 1",
		"allow all",
		"cmdport 0",
		"bindcmdaddress /",
		"pidfile " + u.inside + "/chronyd.pid",
		"keyfile " + u.inside + "/" + keysFile,
		"ntsserverkey " + u.inside + "/" + keyFile,
		"ntsservercert " + u.inside + "/" + certFile,
		"ntsdumpdir " + u.inside,
	}
	if s.has("noclientlog") {
		lines = append(lines, "noclientlog")
	}
	if s.has("bound") {
		lines = append(lines, "bindaddress "+u.addr.String())
	}
	u.command = []string{s.binary(), "-n", "-x", "-u", "root", "-f", u.inside + "/chrony.conf"}
	if root := s.options["root"]; root != "" {
		// A root as bridge/interop/peers.sh makes it has no devices of its own.
		const enter = `mount --bind /dev "$0/dev" && exec chroot "$0" "$@"`
		u.command = append([]string{"unshare", "--mount", "sh", "-c", enter, root}, u.command...)
	}
	return os.WriteFile(filepath.Join(u.dir, "chrony.conf"), []byte(strings.Join(lines, "\n")+"\n"), 0o600)
}

// limited is what an attacked ntsbridge has beside: a rate limit of twice what
// its clients ask, which lets nothing through above it, and queries for all.
const limited = `access:
  default:
    rate: strict
    query: true
rate_limit:
  limits:
    - name: strict
      interval: 500ms
      leak: 0
`

// autokeyOf is for the files of keygen.
const autokeyOf = `autokey:
  enabled: true
  keysdir: %s/autokey
  host: server.example
  password_file: %s/autokey/password
`

// keygen makes a key set of Autokey with the server's own program.
func (s Spec) keygen(u *setup) error {
	dir := filepath.Join(u.dir, "autokey")
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "password"), []byte("ntpload\n"), 0o600); err != nil {
		return err
	}
	program, err := filepath.Abs(s.binary())
	if err != nil || !strings.Contains(s.binary(), "/") {
		program = s.binary()
	}
	cmd := exec.Command(program, "keygen", "-T", "-m", "1024", "-c", "RSA-SHA256", "-s", "server.example", "--password-file", "password")
	cmd.Dir = dir
	if said, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("keygen: %w: %s", err, said)
	}
	return nil
}

// ntsbridge serves the system clock whatever the kernel says of it.
func (s Spec) ntsbridge(u *setup) error {
	listen, ke := "0.0.0.0:123", "0.0.0.0:4460"
	if s.has("bound") {
		listen, ke = u.addr.String()+":123", u.addr.String()+":4460"
	}
	fastpath := ""
	if s.has("fastpath") {
		fastpath = fmt.Sprintf("  fastpath: require\n  fastpath_interfaces: [nb0/%s]\n", cmp.Or(s.options["fastpath"], "tcx"))
	}
	text := fmt.Sprintf(`server:
  listen: [%q]
  workers: 1
%sclock:
  mode: local
  stratum: 1
keys:
  files:
    - path: %q
      format: chrony
  trusted: [all]
nts:
  listen: [%q]
  certificates:
    - cert: %q
      key: %q
  limits:
    interval: 0s
fleet:
  enabled: %v
`, listen, fastpath, u.inside+"/"+keysFile, ke, u.inside+"/"+certFile, u.inside+"/"+keyFile, !s.has("noclients"))
	if s.has("limited") {
		text += limited + fmt.Sprintf(autokeyOf, u.inside, u.inside)
		if err := s.keygen(u); err != nil {
			return err
		}
	}
	u.command = []string{s.binary(), "serve", "-c", u.inside + "/ntsbridge.yaml",
		"--state-dir", u.inside + "/state", "--run-dir", u.inside + "/run"}
	for _, d := range []string{"state", "run"} {
		if err := os.Mkdir(filepath.Join(u.dir, d), 0o700); err != nil {
			return err
		}
	}
	if s.has("planned") {
		state, err := planned()
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(u.dir, "state", migration.StateFile), state, 0o600); err != nil {
			return err
		}
	}
	return os.WriteFile(filepath.Join(u.dir, "ntsbridge.yaml"), []byte(text), 0o600)
}
