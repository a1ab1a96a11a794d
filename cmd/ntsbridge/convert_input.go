package main

import (
	"bufio"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"ntsbridge/bridge/convert"
	account "ntsbridge/bridge/convert/report"
)

// maxInput is above what is converted; the rest is not read.
const maxInput = 8 << 20

// input reads a configuration and finds the root of its host.
func (f *convertFlags) input(name string) (in convert.Input, done func(), err error) {
	done = func() {}
	in.Name = name
	var r io.Reader = f.in
	root := f.root
	if name != "-" {
		file, err := os.Open(name)
		if err != nil {
			return in, done, err
		}
		defer file.Close()
		r = file
		if root == "" {
			root = rootOf(name)
		}
	}
	if in.Data, err = io.ReadAll(io.LimitReader(r, maxInput)); err != nil || root == "" {
		return in, done, err
	}
	if in.Path, err = insideOf(root, name); err != nil {
		return in, done, err
	}
	if filepath.Clean(root) == "/" {
		in.Files = os.DirFS("/")
		return in, done, nil
	}
	// Links of a copied host do not lead out of it.
	inside, err := os.OpenRoot(root)
	if err != nil {
		return in, done, err
	}
	in.Files = inside.FS()
	return in, func() { inside.Close() }, nil
}

// insideOf returns the name that a file has from a root on, or nothing if it
// is not inside.
func insideOf(root, name string) (string, error) {
	if name == "-" {
		return "", nil
	}
	from, err := filepath.Abs(root)
	if err != nil {
		return "", err
	}
	to, err := filepath.Abs(name)
	if err != nil {
		return "", err
	}
	rel, err := filepath.Rel(from, to)
	if err != nil || rel == ".." || strings.HasPrefix(rel, "../") {
		return "", nil
	}
	return "/" + rel, nil
}

// rootOf returns what stands before the last etc in a name, or nothing.
func rootOf(name string) string {
	for dir := filepath.Dir(name); ; dir = filepath.Dir(dir) {
		if filepath.Base(dir) == "etc" {
			return filepath.Dir(dir)
		}
		if dir == filepath.Dir(dir) {
			return ""
		}
	}
}

// hostnameOf returns the host's name: of this host what gethostname() says, which
// is what ntpd asks and need not be in a file; of another one what its files say,
// /etc/hostname or Red Hat's /etc/sysconfig/network. It is empty if they do not.
func hostnameOf(root fs.FS, system func() (string, error)) string {
	if root == nil {
		return ""
	}
	if root == os.DirFS("/") {
		if name, err := system(); err == nil {
			return name
		}
	}
	for _, file := range []struct{ name, before string }{{"etc/hostname", ""}, {"etc/sysconfig/network", "HOSTNAME="}} {
		data, err := fs.ReadFile(root, file.name)
		if err != nil || len(data) > maxHostnameFile {
			continue
		}
		for line := range strings.Lines(string(data)) {
			line = strings.TrimSpace(line)
			if name, ok := strings.CutPrefix(line, file.before); ok && name != "" && name[0] != '#' {
				return strings.Trim(name, `"'`)
			}
		}
	}
	return ""
}

// maxHostnameFile is above what is looked at for a host's name, octets.
const maxHostnameFile = 4096

// ask returns a function that asks on the terminal.
func (f *convertFlags) ask() func(account.Question) convert.Lost {
	answers := bufio.NewScanner(f.in)
	return func(q account.Question) convert.Lost {
		fmt.Fprintf(f.errOut, "%s:%d: %s\n  written: %s\n  running: %s\n", q.File, q.Line, q.Text, q.Written, q.Running)
		choice := "[s]top or [r]unning"
		if q.Intended {
			choice = "[s]top, [r]unning or as [w]ritten"
		}
		for {
			fmt.Fprintf(f.errOut, "  convert what is %s? ", choice)
			if !answers.Scan() {
				return convert.LostStop
			}
			switch strings.ToLower(strings.TrimSpace(answers.Text())) {
			case "s", "stop":
				return convert.LostStop
			case "r", "running":
				return convert.LostRunning
			case "w", "written":
				if q.Intended {
					return convert.LostIntended
				}
			}
		}
	}
}
