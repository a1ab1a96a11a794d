package keygen

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"time"

	"ntsbridge/autokey/keyfile"
	"ntsbridge/bridge/ntp"
)

// maker makes a plan, step by step.
type maker struct {
	in       *Inputs
	names    names
	limits   peerLimits
	stamp    uint32 // filestamp of what is made next, as ntp-keygen keeps it
	asked    bool   // for the password
	encoding keyfile.Encoding

	old      *keyfile.Certificate // the certificate that is there; nil: none
	oldStamp uint32
	usage    certificateUsage
	signer   keyfile.PrivateKey
	gqPublic *big.Int

	files    []File
	exported bytes.Buffer // for standard output
	groups   int          // identity groups in exported
}

// certificateUsage is what a certificate is for.
type certificateUsage struct{ trusted, private bool }

// ntpSeconds returns a time in NTP seconds.
func ntpSeconds(t time.Time) uint32 { return ntp.TimestampFromTime(t).Seconds() }

func (m *maker) tell(format string, args ...any) {
	if m.in.Tell != nil {
		m.in.Tell(Note{Text: fmt.Sprintf(format, args...)})
	}
}

func (m *maker) warn(format string, args ...any) {
	if m.in.Tell != nil {
		m.in.Tell(Note{Text: fmt.Sprintf(format, args...), Warning: true})
	}
}

// password returns that of this host's files.
func (m *maker) password() string {
	if m.in.Password != "" {
		return m.in.Password
	}
	return m.in.System
}

// ask asks for the password once, if none was given and somebody is there.
func (m *maker) ask(file string) bool {
	if m.in.Password != "" || m.asked || m.in.Ask == nil {
		return false
	}
	m.asked = true
	m.in.Password = m.in.Ask(file)
	return m.in.Password != ""
}

// header is the head of a new file.
func (m *maker) header(kind, owner string) keyfile.Header {
	return keyfile.Header{Name: "ntpkey_" + kind + "_" + owner, Filestamp: m.stamp, Made: m.in.Now}
}

// put keeps a file of private keys back for commit.
func (m *maker) put(h keyfile.Header, link string, content []byte) {
	m.files = append(m.files, File{Name: h.FileName(), Link: "ntpkey_" + link + "_" + m.names.host, Content: content, Secret: true})
}

// readKey reads a private key file of the directory; nil if there is none. Its
// filestamp is that of what is made from then on.
func (m *maker) readKey(name string) (*keyfile.KeyFile, []byte, error) {
	data, err := m.in.Read(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, err
	}
	f, err := m.decrypt(name, data)
	if err != nil {
		return nil, nil, fmt.Errorf("key file %s: %w", name, err)
	}
	m.stamp = f.Filestamp
	return f, data, nil
}

func (m *maker) decrypt(name string, data []byte) (*keyfile.KeyFile, error) {
	f, err := keyfile.ReadKey(data, m.password())
	if errors.Is(err, keyfile.ErrPassword) && m.ask(name) {
		f, err = keyfile.ReadKey(data, m.password())
	}
	if errors.Is(err, keyfile.ErrPassword) {
		err = fmt.Errorf("%w; give it with --password-file FILE (without, it is the host name %q)", err, m.in.System)
	}
	return f, err
}

// bits returns the modulus of new host and sign keys.
func (m *maker) bits() int { return m.in.Options.number("modulus", m.limits.bits) }

// write makes the file of a private key.
func (m *maker) write(kind, owner, link string, key any) error {
	m.agreeOnPassword()
	h := m.header(kind, owner)
	content, err := keyfile.EncodeKey(m.in.Rand, h, key, m.encoding)
	if err != nil {
		return err
	}
	m.put(h, link, content)
	return nil
}

// agreeOnPassword sets the password of new files: that with which files were
// opened, or the given one, or the host name, which everybody can guess.
func (m *maker) agreeOnPassword() {
	if m.in.Password == "" && m.encoding.Password == "" {
		m.warn("the private files are encrypted with the host name, which everybody can guess; use --password-file FILE and " +
			"ntp.conf's \"crypto pw\"")
	}
	m.encoding.Password = m.password()
}
