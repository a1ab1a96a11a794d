package keygen

import (
	"fmt"

	"ntsbridge/autokey/identity"
	"ntsbridge/autokey/keyfile"
)

// exportHeader is the head of an export.
func (m *maker) exportHeader(kind string) keyfile.Header { return m.header(kind, m.names.group) }

// wanted reports whether a scheme is to be exported.
func (m *maker) wanted(scheme string) bool {
	return !m.in.Options.Has("scheme") || m.in.Options.Text("scheme") == scheme
}

// exportGroup writes a clients' file to standard output if asked to.
func (m *maker) exportGroup(scheme string, parameters any) error {
	if !m.in.Options.Has("id-key") || !m.wanted(scheme) {
		return nil
	}
	h := m.exportHeader(scheme + "par")
	content, err := keyfile.EncodeGroup(h, parameters)
	if err != nil {
		return err
	}
	return m.exportFile(h, content)
}

// exportKey writes a server's key to standard output if asked to.
func (m *maker) exportKey(scheme string, key any) error {
	if m.in.ExportPassword == "" || !m.wanted(scheme) {
		return nil
	}
	h := m.exportHeader(scheme + "key")
	e := m.encoding
	e.Password = m.in.ExportPassword
	if _, mv := key.(*identity.MVKey); mv {
		e.Traditional = true
	}
	content, err := keyfile.EncodeKey(m.in.Rand, h, key, e)
	if err != nil {
		return err
	}
	return m.exportFile(h, content)
}

func (m *maker) exportFile(h keyfile.Header, content []byte) error {
	m.tell("Writing %s to stdout", h.FileName())
	m.exported.Write(content)
	m.groups++
	return nil
}

// exports looks whether what was to be exported was there.
func (m *maker) exports() error {
	if (m.in.Options.Has("id-key") || m.in.ExportPassword != "") && m.groups == 0 {
		if m.in.ExportPassword != "" && m.in.Password == "" {
			return fmt.Errorf("-q is the password of an exported group key, and there is no IFF, GQ or MV key of group %s to export; "+
				"that of this host's own files is -p, or --password-file FILE", m.names.group)
		}
		return fmt.Errorf("nothing to export: there is no IFF, GQ or MV key of group %s under ntpkey_{iffkey,gqkey,mvta}_%s; make "+
			"one with -I, -G or -V, or name the group with -i", m.names.group, m.names.group)
	}
	if m.groups > 1 {
		m.warn("%d files went to standard output one behind the other; ntpd wants each in a file of its own: use --scheme", m.groups)
	}
	return nil
}

func (m *maker) exportIFF(key *identity.IFFKey) error {
	if err := m.exportGroup("iff", key.Parameters()); err != nil {
		return err
	}
	return m.exportKey("iff", key)
}

func (m *maker) exportMV(group *identity.MVGroup) error {
	if m.in.Options.Has("id-key") && m.wanted("mv") {
		number := m.in.Options.number("mv-client", 1)
		if number > len(group.Clients) {
			return fmt.Errorf("there is no MV client key %d, the group has %d", number, len(group.Clients))
		}
		if !group.Works(number) {
			return fmt.Errorf("MV client key %d is revoked and opens nothing; take another one of 1 to %d", number, len(group.Clients)-1)
		}
		m.tell("MV client key %d of %d; to revoke it, make the group anew (-V) and give every other client its new key", number,
			len(group.Clients))
		if err := m.exportGroup("mv", group.Clients[number-1]); err != nil {
			return err
		}
	}
	return m.exportKey("mv", group.Server)
}
