package keygen

import (
	"errors"
	"fmt"

	"ntsbridge/autokey/identity"
	"ntsbridge/autokey/keyfile"
)

// readIdentity reads a file of the group: under the group's name, or, since
// ntp-keygen names all links by the host, under the host's if line 1 says that
// it is of this group. Without a group in the options that of the file is
// taken.
func (m *maker) readIdentity(kind string) (f *keyfile.KeyFile, data []byte, name string, err error) {
	name = "ntpkey_" + kind + "_" + m.names.group
	before := m.stamp
	if f, data, err = m.readKey(name); f != nil || err != nil || m.names.group == m.names.host && m.names.groupGiven {
		m.adopt(data)
		return f, data, name, err
	}
	name = "ntpkey_" + kind + "_" + m.names.host
	f, data, err = m.readKey(name)
	if f == nil || err != nil {
		return nil, nil, name, err
	}
	if m.names.groupGiven && keyfile.Owner(data) != m.names.group {
		m.stamp = before
		return nil, nil, name, nil
	}
	m.adopt(data)
	return f, data, name, nil
}

// adopt takes over the group of a file if the options name none.
func (m *maker) adopt(data []byte) {
	if owner := keyfile.Owner(data); !m.names.groupGiven && owner != "" && checkName("group", owner) == nil {
		m.names.group = owner
	}
}

// identityBits returns the modulus of a new group.
func (m *maker) identityBits(fallback int) int { return m.in.Options.number("imbits", fallback) }

// gq makes or reads the GQ key, whose public value goes into the certificate.
func (m *maker) gq() error {
	var key *identity.GQKey
	if m.in.Options.Has("gq-params") {
		bits := m.identityBits(m.limits.gq)
		if bits < identity.MinNewBits {
			return fmt.Errorf("a GQ modulus of %d bits is too small for OpenSSL 1.1 (ntp-keygen makes no file then, and says 0); use "+
				"-b 512 to -b 1016", bits)
		}
		if bits > 1016 {
			m.warn("clients of ntpd 4.2.8 cannot verify a GQ modulus above 1016 bits; use -b 1016")
		}
		m.tell("Generating GQ parameters (%d bits)...", bits)
		var err error
		key, err = identity.GenerateGQ(m.in.Rand, bits, m.in.Progress)
		if err != nil {
			return err
		}
		if m.limits.version == "4.2.6" {
			m.warn("the GQ server key is arranged for servers of ntpd 4.2.8; a server of 4.2.6 reads it wrongly (its clients' file " +
				"is for both)")
		}
		if err := m.write("GQkey", m.names.group, "gqkey", key); err != nil {
			return err
		}
	} else {
		f, _, name, err := m.readIdentity("gqkey")
		if err != nil {
			return err
		}
		if f == nil {
			return m.gqMissing(name)
		}
		if key, err = f.GQKey(); err != nil {
			return fmt.Errorf("key file %s: %w", name, err)
		}
		m.tell("Using GQ parameters %s", m.in.Target(name))
	}
	m.gqPublic = key.Public()
	if err := m.exportGroup("gq", key.Parameters()); err != nil {
		return err
	}
	return m.exportKey("gq", key)
}

// gqMissing refuses to renew a certificate without what it carried.
func (m *maker) gqMissing(name string) error {
	if m.in.Renew && m.old.GQPublic != nil {
		return fmt.Errorf("the certificate carries the public value of a GQ key, but %s is not there; put it back first", name)
	}
	return nil
}

// iff makes or reads the IFF key.
func (m *maker) iff() error {
	if m.in.Options.Has("iffkey") {
		bits := m.identityBits(m.limits.iff)
		if bits < identity.MinNewBits {
			m.tell("An IFF modulus has at least %d bits", identity.MinNewBits)
			bits = identity.MinNewBits
		}
		m.tell("Generating IFF keys (%d bits)...", bits)
		key, err := identity.GenerateIFF(m.in.Rand, bits, m.in.Progress)
		if err != nil {
			return err
		}
		if err := m.write("IFFkey", m.names.group, "iffkey", key); err != nil {
			return err
		}
		return m.exportIFF(key)
	}
	f, _, name, err := m.readIdentity("iffkey")
	if f == nil || err != nil {
		return err
	}
	key, err := f.IFFKey()
	if err != nil {
		return fmt.Errorf("key file %s: %w", name, err)
	}
	m.tell("Using IFF keys %s", m.in.Target(name))
	return m.exportIFF(key)
}

// mv makes or reads the keys of an MV group.
func (m *maker) mv() error {
	var group *identity.MVGroup
	if m.in.Options.Has("mv-params") {
		var err error
		if group, err = m.newMV(); err != nil {
			return err
		}
	} else {
		if m.in.Options.Has("mv-keys") {
			m.warn("the mv-keys option alone does nothing, as in ntp-keygen")
		}
		f, data, name, err := m.readIdentity("mvta")
		if f == nil || err != nil {
			return err
		}
		group, _, err = keyfile.ReadMVGroup(data, m.password())
		if errors.Is(err, keyfile.ErrIncomplete) && !m.in.Options.Has("id-key") && m.in.ExportPassword == "" {
			m.warn("%s: %v", name, err)
			return nil
		}
		if err != nil {
			return fmt.Errorf("key file %s: %w", name, err)
		}
		m.tell("Using MV keys %s", m.in.Target(name))
	}
	return m.exportMV(group)
}

func (m *maker) newMV() (*identity.MVGroup, error) {
	keys := m.in.Options.number("mv-keys", m.in.Options.number("mv-params", 0))
	bits := m.identityBits(m.limits.mv)
	m.tell("Generating MV parameters for %d keys (%d bits)...", keys, bits/max(keys, 1))
	group, err := identity.GenerateMV(m.in.Rand, bits, keys, m.in.Progress)
	if err != nil {
		return nil, err
	}
	m.agreeOnPassword()
	e := m.encoding
	e.Traditional = true // the only form that keeps the public values
	h := m.header("MVta", m.names.group)
	content, err := keyfile.EncodeMVGroup(m.in.Rand, h, group, e)
	if err != nil {
		return nil, err
	}
	m.put(h, "mvta", content)
	for j := range group.Clients {
		if !group.Works(j + 1) {
			m.tell("Revoke key %d", j+1)
		}
	}
	return group, nil
}
