package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	engine "ntsbridge/autokey/keygen"
)

// maxPasswordFile is the longest password file read, octets.
const maxPasswordFile = 4096

// readPasswordFile returns the first line of a file.
func readPasswordFile(name string) (string, error) {
	f, err := os.Open(name)
	if err != nil {
		return "", fmt.Errorf("password file: %w", err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxPasswordFile+1))
	if err != nil {
		return "", fmt.Errorf("password file: %w", err)
	}
	line, _, _ := bytes.Cut(text, []byte("\n"))
	password := strings.TrimSuffix(string(line), "\r")
	if password == "" || len(line) > maxPasswordFile {
		return "", fmt.Errorf("password file %s: the first line is empty or too long; write the password there", name)
	}
	return password, nil
}

// terminal reports whether file is a terminal.
func terminal(file *os.File) bool {
	_, err := unix.IoctlGetTermios(int(file.Fd()), unix.TCGETS)
	return err == nil
}

// interactive reports whether somebody can be asked.
func interactive() bool { return terminal(os.Stdin) }

// errNobody says that there is nobody to ask for a password.
var errNobody = errors.New("no terminal to ask for the password; use --password-file FILE")

// askPassword asks for a password on the terminal without showing it.
func askPassword(prompt string) (string, error) {
	if !interactive() {
		return "", errNobody
	}
	fd := int(os.Stdin.Fd())
	old, err := unix.IoctlGetTermios(fd, unix.TCGETS)
	if err != nil {
		return "", err
	}
	silent := *old
	silent.Lflag &^= unix.ECHO
	silent.Lflag |= unix.ICANON | unix.ISIG
	if err := unix.IoctlSetTermios(fd, unix.TCSETS, &silent); err != nil {
		return "", err
	}
	defer unix.IoctlSetTermios(fd, unix.TCSETS, old)
	fmt.Fprint(os.Stderr, prompt+": ")
	line, err := bufio.NewReaderSize(os.Stdin, 64).ReadString('\n')
	fmt.Fprintln(os.Stderr)
	password := strings.TrimRight(line, "\r\n")
	if password == "" && err != nil {
		return "", fmt.Errorf("password: %w", err)
	}
	return password, nil
}

// passwords finds the password of files when it is needed.
type passwords struct {
	given string // by file or prompt; empty: none yet
	asked bool
}

// ask asks for the password once, if none was given and somebody is there.
func (p *passwords) ask(file string) bool {
	if p.given != "" || p.asked || !interactive() {
		return false
	}
	p.asked = true
	password, err := askPassword("Password of " + file)
	if err != nil || password == "" {
		return false
	}
	p.given = password
	return true
}

// passwordOptions reads the password options: that of this host's files, and
// that of exports. warn is told of passwords that everybody can see.
func passwordOptions(v, line *engine.Values, warn func(string, ...any)) (own, export string, err error) {
	own, export = v.Text("password"), v.Text("export-passwd")
	for _, o := range []struct {
		option, file string
		value        *string
	}{{"password", "password-file", &own}, {"export-passwd", "export-password-file", &export}} {
		if line.Has(o.option) {
			warn("the password stands in the argument list, which every user of this machine can read; use --%s FILE", o.file)
		}
		if v.Has(o.option) && *o.value == "" {
			return "", "", keygenUsageError("the %s option has an empty password", o.option)
		}
		if !v.Has(o.file) {
			continue
		}
		if line.Has(o.option) {
			return "", "", keygenUsageError("%s and %s at once", o.option, o.file)
		}
		if *o.value, err = readPasswordFile(v.Text(o.file)); err != nil {
			return "", "", err
		}
	}
	if v.Has("ask-password") {
		if own != "" {
			return "", "", keygenUsageError("ask-password and another password at once")
		}
		if own, err = askPassword("Password of this host's files"); err != nil {
			return "", "", err
		}
	}
	return own, export, nil
}

// keygenUsageError is about options of ntp-keygen.
func keygenUsageError(format string, args ...any) error {
	return fmt.Errorf("%w: %s", engine.ErrUsage, fmt.Sprintf(format, args...))
}
