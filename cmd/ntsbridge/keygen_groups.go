package main

import (
	"crypto/rand"
	"errors"
	"fmt"

	"ntsbridge/autokey/identity"
	"ntsbridge/autokey/keyfile"
)

// readIdentity reads a file of the group: under the group's name, or, since
// ntp-keygen names all links by the host, under the host's if line 1 says that
// it is of this group. Without a group in the options that of the file is
// taken.
func (r *keygenRun) readIdentity(kind string) (f *keyfile.KeyFile, data []byte, name string, err error) {
	name = "ntpkey_" + kind + "_" + r.names.group
	before := r.stamp
	if f, data, err = r.readKey(name); f != nil || err != nil || r.names.group == r.names.host && r.names.groupGiven {
		r.adopt(data)
		return f, data, name, err
	}
	name = "ntpkey_" + kind + "_" + r.names.host
	f, data, err = r.readKey(name)
	if f == nil || err != nil {
		return nil, nil, name, err
	}
	if r.names.groupGiven && keyfile.Owner(data) != r.names.group {
		r.stamp = before
		return nil, nil, name, nil
	}
	r.adopt(data)
	return f, data, name, nil
}

// adopt takes over the group of a file if the options name none.
func (r *keygenRun) adopt(data []byte) {
	if owner := keyfile.Owner(data); !r.names.groupGiven && owner != "" && checkName("group", owner) == nil {
		r.names.group = owner
	}
}

// exportHeader is the head of an export.
func (r *keygenRun) exportHeader(kind string) keyfile.Header { return r.header(kind, r.names.group) }

// wanted reports whether a scheme is to be exported.
func (r *keygenRun) wanted(scheme string) bool {
	return !r.opt.has("scheme") || r.opt.text("scheme") == scheme
}

// exportGroup writes a clients' file to standard output if asked to.
func (r *keygenRun) exportGroup(scheme string, parameters any) error {
	if !r.opt.has("id-key") || !r.wanted(scheme) {
		return nil
	}
	h := r.exportHeader(scheme + "par")
	content, err := keyfile.EncodeGroup(h, parameters)
	if err != nil {
		return err
	}
	return r.exportFile(h, content)
}

// exportKey writes a server's key to standard output if asked to.
func (r *keygenRun) exportKey(scheme string, key any) error {
	if r.export == "" || !r.wanted(scheme) {
		return nil
	}
	h := r.exportHeader(scheme + "key")
	e := r.encoding
	e.Password = r.export
	if _, mv := key.(*identity.MVKey); mv {
		e.Traditional = true
	}
	content, err := keyfile.EncodeKey(rand.Reader, h, key, e)
	if err != nil {
		return err
	}
	return r.exportFile(h, content)
}

func (r *keygenRun) exportFile(h keyfile.Header, content []byte) error {
	fmt.Fprintf(r.say, "Writing %s to stdout\n", h.FileName())
	r.exported.Write(content)
	r.groups++
	return nil
}

// exports looks whether what was to be exported was there.
func (r *keygenRun) exports() error {
	if (r.opt.has("id-key") || r.export != "") && r.groups == 0 {
		return fmt.Errorf("nothing to export: there is no IFF, GQ or MV key of group %s under ntpkey_{iffkey,gqkey,mvta}_%s; make one with -I, -G or -V, or name the group with -i", r.names.group, r.names.group)
	}
	if r.groups > 1 {
		r.warn("%d files went to standard output one behind the other; ntpd wants each in a file of its own: use --scheme", r.groups)
	}
	return nil
}

// identityBits returns the modulus of a new group.
func (r *keygenRun) identityBits(fallback int) int { return r.opt.number("imbits", fallback) }

// gq makes or reads the GQ key, whose public value goes into the certificate.
func (r *keygenRun) gq() error {
	var key *identity.GQKey
	if r.opt.has("gq-params") {
		bits := r.identityBits(r.limits.gq)
		if bits < identity.MinNewBits {
			return fmt.Errorf("a GQ modulus of %d bits is too small for OpenSSL 1.1 (ntp-keygen makes no file then, and says 0); use -b 512 to -b 1016", bits)
		}
		if bits > 1016 {
			r.warn("clients of ntpd 4.2.8 cannot verify a GQ modulus above 1016 bits; use -b 1016")
		}
		fmt.Fprintf(r.say, "Generating GQ parameters (%d bits)...\n", bits)
		var err error
		key, err = identity.GenerateGQ(rand.Reader, bits, r.progress)
		r.ended()
		if err != nil {
			return err
		}
		if r.limits.version == "4.2.6" {
			r.warn("the GQ server key is arranged for servers of ntpd 4.2.8; a server of 4.2.6 reads it wrongly (its clients' file is for both)")
		}
		if err := r.write("GQkey", r.names.group, "gqkey", key); err != nil {
			return err
		}
	} else {
		f, _, name, err := r.readIdentity("gqkey")
		if err != nil {
			return err
		}
		if f == nil {
			return r.gqMissing(name)
		}
		if key, err = f.GQKey(); err != nil {
			return fmt.Errorf("key file %s: %w", name, err)
		}
		fmt.Fprintf(r.say, "Using GQ parameters %s\n", r.dir.Target(name))
	}
	r.gqPublic = key.Public()
	if err := r.exportGroup("gq", key.Parameters()); err != nil {
		return err
	}
	return r.exportKey("gq", key)
}

// gqMissing refuses to renew a certificate without what it carried.
func (r *keygenRun) gqMissing(name string) error {
	if r.renew && r.old.GQPublic != nil {
		return fmt.Errorf("the certificate carries the public value of a GQ key, but %s is not there; put it back first", name)
	}
	return nil
}

// iff makes or reads the IFF key.
func (r *keygenRun) iff() error {
	if r.opt.has("iffkey") {
		bits := r.identityBits(r.limits.iff)
		if bits < identity.MinNewBits {
			fmt.Fprintf(r.say, "An IFF modulus has at least %d bits\n", identity.MinNewBits)
			bits = identity.MinNewBits
		}
		fmt.Fprintf(r.say, "Generating IFF keys (%d bits)...\n", bits)
		key, err := identity.GenerateIFF(rand.Reader, bits, r.progress)
		r.ended()
		if err != nil {
			return err
		}
		if err := r.write("IFFkey", r.names.group, "iffkey", key); err != nil {
			return err
		}
		return r.exportIFF(key)
	}
	f, _, name, err := r.readIdentity("iffkey")
	if f == nil || err != nil {
		return err
	}
	key, err := f.IFFKey()
	if err != nil {
		return fmt.Errorf("key file %s: %w", name, err)
	}
	fmt.Fprintf(r.say, "Using IFF keys %s\n", r.dir.Target(name))
	return r.exportIFF(key)
}

func (r *keygenRun) exportIFF(key *identity.IFFKey) error {
	if err := r.exportGroup("iff", key.Parameters()); err != nil {
		return err
	}
	return r.exportKey("iff", key)
}

// mv makes or reads the keys of an MV group.
func (r *keygenRun) mv() error {
	var group *identity.MVGroup
	if r.opt.has("mv-params") {
		var err error
		if group, err = r.newMV(); err != nil {
			return err
		}
	} else {
		if r.opt.has("mv-keys") {
			r.warn("the mv-keys option alone does nothing, as in ntp-keygen")
		}
		f, data, name, err := r.readIdentity("mvta")
		if f == nil || err != nil {
			return err
		}
		group, _, err = keyfile.ReadMVGroup(data, r.password.own())
		if errors.Is(err, keyfile.ErrIncomplete) && !r.opt.has("id-key") && r.export == "" {
			r.warn("%s: %v", name, err)
			return nil
		}
		if err != nil {
			return fmt.Errorf("key file %s: %w", name, err)
		}
		fmt.Fprintf(r.say, "Using MV keys %s\n", r.dir.Target(name))
	}
	return r.exportMV(group)
}

func (r *keygenRun) newMV() (*identity.MVGroup, error) {
	keys := r.opt.number("mv-keys", r.opt.number("mv-params", 0))
	bits := r.identityBits(r.limits.mv)
	fmt.Fprintf(r.say, "Generating MV parameters for %d keys (%d bits)...\n", keys, bits/max(keys, 1))
	group, err := identity.GenerateMV(rand.Reader, bits, keys, r.progress)
	r.ended()
	if err != nil {
		return nil, err
	}
	if err := r.agreeOnPassword(); err != nil {
		return nil, err
	}
	e := r.encoding
	e.Traditional = true // the only form that keeps the public values
	h := r.header("MVta", r.names.group)
	content, err := keyfile.EncodeMVGroup(rand.Reader, h, group, e)
	if err != nil {
		return nil, err
	}
	r.put(h, "mvta", content)
	for j := range group.Clients {
		if !group.Works(j + 1) {
			fmt.Fprintf(r.say, "Revoke key %d\n", j+1)
		}
	}
	return group, nil
}

func (r *keygenRun) exportMV(group *identity.MVGroup) error {
	if r.opt.has("id-key") && r.wanted("mv") {
		number := r.opt.number("mv-client", 1)
		if number > len(group.Clients) {
			return fmt.Errorf("there is no MV client key %d, the group has %d", number, len(group.Clients))
		}
		if !group.Works(number) {
			return fmt.Errorf("MV client key %d is revoked and opens nothing; take another one of 1 to %d", number, len(group.Clients)-1)
		}
		fmt.Fprintf(r.say, "MV client key %d of %d; to revoke it, make the group anew (-V) and give every other client its new key\n", number, len(group.Clients))
		if err := r.exportGroup("mv", group.Clients[number-1]); err != nil {
			return err
		}
	}
	return r.exportKey("mv", group.Server)
}
