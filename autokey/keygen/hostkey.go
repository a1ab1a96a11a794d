package keygen

import (
	"fmt"

	"ntsbridge/autokey/keyfile"
)

// hostKey makes a host key, or reads the one that is there.
func (m *maker) hostKey() error {
	name := "ntpkey_host_" + m.names.host
	if !m.in.Options.Has("host-key") {
		f, _, err := m.readKey(name)
		if err != nil {
			return err
		}
		if f != nil {
			key, err := f.PrivateKey()
			if err != nil {
				return fmt.Errorf("key file %s: %w", name, err)
			}
			if _, ok := key.(*keyfile.RSAPrivateKey); !ok {
				return fmt.Errorf("key file %s: a host key must be RSA; make one with -H", name)
			}
			m.tell("Using host key %s", m.in.Target(name))
			m.signer = key
			return nil
		}
		if m.in.Renew {
			return fmt.Errorf("there is no host key %s; `keygen` makes a first one", name)
		}
	}
	key, err := m.newRSA("RSAhost", "host")
	m.signer = key
	return err
}

// newRSA makes an RSA key and its file.
func (m *maker) newRSA(kind, link string) (keyfile.PrivateKey, error) {
	bits := m.bits()
	if err := m.limits.check(bits, 0); err != nil {
		return nil, err
	}
	m.tell("Generating RSA keys (%d bits)...", bits)
	key, err := keyfile.GenerateRSA(m.in.Rand, bits, m.in.Progress)
	if err != nil {
		return nil, err
	}
	return key, m.write(kind, m.names.host, link, key)
}

// signKey makes a sign key if asked to, else reads the one that is there, else
// the host key signs.
func (m *maker) signKey() error {
	switch kind := m.in.Options.Text("sign-key"); {
	case kind == "RSA":
		key, err := m.newRSA("RSAsign", "sign")
		m.signer = key
		return err
	case kind == "DSA":
		return m.newDSA()
	case m.in.Options.Has("sign-key"):
		return fmt.Errorf("invalid sign key type %q, want RSA or DSA", clipped(kind))
	}
	name := "ntpkey_sign_" + m.names.host
	f, _, err := m.readKey(name)
	if err != nil {
		return err
	}
	if f == nil {
		m.tell("Using host key as sign key")
		return nil
	}
	if m.signer, err = f.PrivateKey(); err != nil {
		return fmt.Errorf("key file %s: %w", name, err)
	}
	m.tell("Using sign key %s", m.in.Target(name))
	return nil
}

func (m *maker) newDSA() error {
	if !m.limits.allowDSA {
		return fmt.Errorf("ntpd %s crashes on DSA sign keys; use -S RSA", m.limits.version)
	}
	bits := m.bits()
	if err := m.limits.check(bits, 0); err != nil {
		return err
	}
	m.warn("ntpd 4.2.8 with OpenSSL 1.1 crashes on DSA sign keys, as server and as client; use -S RSA")
	m.tell("Generating DSA keys (%d bits)...", bits)
	key, err := keyfile.GenerateDSA(m.in.Rand, bits, m.in.Progress)
	if err != nil {
		return err
	}
	m.signer = key
	return m.write("DSAsign", m.names.host, "sign", key)
}
