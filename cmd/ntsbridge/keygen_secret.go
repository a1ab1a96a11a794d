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

// passwords finds the password of a host's files when it is needed.
type passwords struct {
	given string // by option, file or prompt; empty: none yet
	host  string // the fallback, as in ntp-keygen and ntpd
	asked bool
}

// own returns the password for new files.
func (p *passwords) own() string {
	if p.given != "" {
		return p.given
	}
	return p.host
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

// passwordOptions reads the password options. warn is told of passwords that
// everybody can see.
func passwordOptions(v, line *optionValues, host string, warn func(string, ...any)) (p *passwords, export string, err error) {
	p = &passwords{given: v.text("password"), host: host}
	export = v.text("export-passwd")
	for _, o := range []struct {
		option, file string
		value        *string
	}{{"password", "password-file", &p.given}, {"export-passwd", "export-password-file", &export}} {
		if line.has(o.option) {
			warn("the password stands in the argument list, which every user of this machine can read; use --%s FILE", o.file)
		}
		if v.has(o.option) && *o.value == "" {
			return nil, "", badOption("the %s option has an empty password", o.option)
		}
		if !v.has(o.file) {
			continue
		}
		if line.has(o.option) {
			return nil, "", badOption("%s and %s at once", o.option, o.file)
		}
		if *o.value, err = readPasswordFile(v.text(o.file)); err != nil {
			return nil, "", err
		}
	}
	if v.has("ask-password") {
		if p.given != "" {
			return nil, "", badOption("ask-password and another password at once")
		}
		if p.given, err = askPassword("Password of this host's files"); err != nil {
			return nil, "", err
		}
	}
	return p, export, nil
}
