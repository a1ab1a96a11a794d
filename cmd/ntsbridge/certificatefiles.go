package main

import (
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"ntsbridge/bridge/nke/pki"
	"ntsbridge/bridge/statedir"
)

// The files of the authority, and the lives of its certificates in years.
const (
	rootName          = "root"
	intermediateName  = "intermediate"
	rootYears         = 20
	intermediateYears = 10
)

func reserved(name string) bool { return name == rootName || name == intermediateName }

// serverFile is the name of a server's files.
func serverFile(name string) string {
	return strings.NewReplacer("*", "_", ":", "_", "/", "_").Replace(name)
}

func readChain(path string) ([]*x509.Certificate, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	chain, err := pki.ParseChain(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return chain, nil
}

// servers returns the names of the certificates that are no authority's.
func (f *certificateFlags) servers() (names []string, err error) {
	paths, err := filepath.Glob(f.path("*.crt"))
	for _, path := range paths {
		if name := strings.TrimSuffix(filepath.Base(path), ".crt"); !reserved(name) {
			names = append(names, name)
		}
	}
	return names, err
}

// key reads a key, or makes it.
func (f *certificateFlags) key(path string) (key crypto.Signer, made bool, err error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		if text, err = pki.NewKey(); err == nil {
			err, made = statedir.Write(path, text, statedir.Secret), true
		}
	}
	if err != nil {
		return nil, made, err
	}
	if key, err = pki.ParseKey(text); err != nil {
		return nil, made, fmt.Errorf("%s: %w", path, err)
	}
	return key, made, nil
}

// sharedMode is that of a key which the daemon's group may read.
const sharedMode fs.FileMode = 0o640

// share lets the daemon's group read a server's key, if there is such a group and
// we may give it away.
func (f *certificateFlags) share(out io.Writer, path string) {
	g, err := user.LookupGroup(f.group)
	if err != nil {
		return
	}
	gid, err := strconv.Atoi(g.Gid)
	if err == nil {
		err = os.Chown(path, -1, gid)
	}
	if err == nil {
		err = os.Chmod(path, sharedMode)
	}
	if err != nil {
		fmt.Fprintf(out, "note: the group %s cannot read %s: %v\n", f.group, path, err)
	}
}

// authority reads the intermediate authority, and makes root and intermediate
// where they are not there. The root's key is wanted only to make another
// intermediate.
func (f *certificateFlags) authority(out io.Writer, now time.Time) (*pki.Authority, error) {
	text, err := os.ReadFile(f.path(intermediateName + ".crt"))
	switch {
	case err == nil:
		key, err := os.ReadFile(f.path(intermediateName + ".key"))
		if err != nil {
			return nil, err
		}
		a, err := pki.ReadAuthority(text, key)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", f.path(intermediateName+".crt"), err)
		}
		if pki.Due(a.Certificate, nil, now) == "" {
			return a, nil
		}
	case !errors.Is(err, fs.ErrNotExist):
		return nil, err
	}
	root, err := f.root(out, now)
	if err != nil {
		return nil, err
	}
	key, _, err := f.key(f.path(intermediateName + ".key"))
	if err != nil {
		return nil, err
	}
	a, err := root.NewIntermediate(root.Certificate.Subject.CommonName+" intermediate", key, now, intermediateYears)
	if err != nil {
		return nil, err
	}
	fmt.Fprintf(out, "made %s\n", f.path(intermediateName+".crt"))
	return a, statedir.Write(f.path(intermediateName+".crt"), pki.PEM(a.Certificate), statedir.Public)
}

// root reads the root, or makes it at first.
func (f *certificateFlags) root(out io.Writer, now time.Time) (*pki.Authority, error) {
	text, err := os.ReadFile(f.path(rootName + ".crt"))
	if err == nil {
		key, err := os.ReadFile(f.path(rootName + ".key"))
		if err != nil {
			return nil, fmt.Errorf("the key of the root is needed for a new intermediate authority: %w", err)
		}
		return pki.ReadAuthority(text, key)
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if err := os.MkdirAll(f.dir, 0o755); err != nil {
		return nil, err
	}
	key, _, err := f.key(f.path(rootName + ".key"))
	if err != nil {
		return nil, err
	}
	host, _ := os.Hostname()
	a, err := pki.NewRoot(fmt.Sprintf("NTS root made on %.40s %s", host, now.UTC().Format(time.DateOnly)), key, 1, now, rootYears)
	if err != nil {
		return nil, err
	}
	fmt.Fprintf(out, "made %s: give it to clients as trusted, and keep its key where nobody finds it\n", f.path(rootName+".crt"))
	return a, statedir.Write(f.path(rootName+".crt"), pki.PEM(a.Certificate), statedir.Public)
}

func (f *certificateFlags) issue(a *pki.Authority, names []string, key crypto.Signer, days int, now time.Time) error {
	return f.issueTo(a, f.path(serverFile(names[0])+".crt"), names, key, days, now)
}

// clockSlack is how far a certificate reaches back, for clients whose clock is
// behind.
const clockSlack = 30 * 24 * time.Hour

func (f *certificateFlags) issueTo(a *pki.Authority, path string, names []string, key crypto.Signer, days int, now time.Time) error {
	chain, err := a.Issue(&pki.Server{Names: names, Days: days, Before: clockSlack}, key.Public(), false, now)
	if err != nil {
		return err
	}
	return statedir.Write(path, pki.PEM(chain...), statedir.Public)
}

// configuration prints what the server's own configuration needs.
func (f *certificateFlags) configuration(out io.Writer, names []string) error {
	dir, err := filepath.Abs(f.dir)
	if err != nil {
		return err
	}
	file := filepath.Join(dir, serverFile(names[0]))
	_, err = fmt.Fprintf(out, "\n# configuration of ntsbridge\nnts:\n  certificates:\n    - cert: %q\n      key: %q\n\n", file+".crt", file+".key")
	if err == nil {
		f.ca, f.port = "/etc/ssl/ntsbridge-root.crt", 4460
		err = f.clients(out, names[0])
	}
	return err
}

// clients prints the lines of clients.
func (f *certificateFlags) clients(out io.Writer, name string) error {
	host, option := name, ""
	if strings.Contains(name, ":") {
		host = "[" + name + "]"
	}
	if f.port != 4460 {
		host, option = fmt.Sprintf("%s:%d", host, f.port), fmt.Sprintf(" ntsport %d", f.port)
	}
	_, err := fmt.Fprintf(out, `# clients: copy %[1]s to %[2]s
# chrony (chrony.conf)
ntstrustedcerts %[2]s
server %[3]s iburst nts%[4]s
# ntpsec (ntp.conf)
server %[5]s iburst nts ca %[2]s
# ntpd-rs (ntp.toml)
[[source]]
mode = "nts"
address = %[6]q
certificate-authority = %[7]q
`, f.path(rootName+".crt"), f.ca, name, option, host, host, f.ca)
	return err
}
