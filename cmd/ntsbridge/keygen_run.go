package main

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/big"
	"strings"
	"time"

	"ntsbridge/autokey/identity"
	"ntsbridge/autokey/keyfile"
	"ntsbridge/bridge/keydir"
	"ntsbridge/bridge/ntp"
)

// keygenRun is one run that makes files.
type keygenRun struct {
	opt      *optionValues
	names    keygenNames
	limits   peerLimits
	dir      *keydir.Dir
	now      time.Time
	stamp    uint32 // filestamp of what is made next, as ntp-keygen keeps it
	password *passwords
	export   string // password of -q
	encoding keyfile.Encoding
	renew    bool
	say      io.Writer
	progress identity.Progress

	old      *keyfile.Certificate // the certificate that is there; nil: none
	oldStamp uint32
	usage    certificateUsage
	signer   keyfile.PrivateKey
	gqPublic *big.Int
	exported bytes.Buffer // for standard output
	groups   int          // identity groups in exported
}

// certificateUsage is what a certificate is for.
type certificateUsage struct{ trusted, private bool }

// seconds returns a time in NTP seconds.
func ntpSeconds(t time.Time) uint32 { return ntp.TimestampFromTime(t).Seconds() }

// run does all that the options ask for and commits it.
func (r *keygenRun) run() error {
	if err := r.dir.Writable(); err != nil {
		return err
	}
	if r.opt.has("md5key") {
		if err := r.symmetricKeys(); err != nil {
			return err
		}
		return r.commit()
	}
	steps := []func() error{r.certificateBefore, r.hostKey, r.signKey, r.gq, r.iff, r.mv, r.exports, r.certificate}
	if r.renew {
		steps = []func() error{r.certificateBefore, r.renewable, r.hostKey, r.signKey, r.gq, r.certificate}
	}
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	return r.commit()
}

// commit writes the files and tells of them.
func (r *keygenRun) commit() error {
	files, err := r.dir.Commit()
	if err != nil {
		return err
	}
	for _, f := range files {
		fmt.Fprintf(r.say, "Generating new %s file and link\n%s->%s\n", linkKind(f.Link), f.Link, f.Name)
		if r.opt.has("debug-level") || r.opt.number("set-debug-level", 0) > 0 {
			r.describe(f)
		}
	}
	return nil
}

// linkKind is what a link says of its file: "host" of "ntpkey_host_tick".
func linkKind(link string) string {
	kind, _, found := strings.Cut(strings.TrimPrefix(link, "ntpkey_"), "_")
	if !found {
		return "md5"
	}
	return kind
}

// describe tells of a new file what inspect would: no secrets, unlike
// ntp-keygen -d.
func (r *keygenRun) describe(f keydir.File) {
	if i, err := keyfile.Inspect(f.Content, r.password.own(), r.now); err == nil {
		writeInspection(r.say, f.Name, i)
	}
}

func (r *keygenRun) warn(format string, args ...any) {
	fmt.Fprintf(r.say, "warning: "+format+"\n", args...)
}

// header is the head of a new file.
func (r *keygenRun) header(kind, owner string) keyfile.Header {
	return keyfile.Header{Name: "ntpkey_" + kind + "_" + owner, Filestamp: r.stamp, Made: r.now}
}

// put keeps a file of private keys back for commit.
func (r *keygenRun) put(h keyfile.Header, link string, content []byte) {
	r.dir.Put(keydir.File{Name: h.FileName(), Link: "ntpkey_" + link + "_" + r.names.host, Content: content, Secret: true})
}

// certificateBefore reads the certificate that is there: scheme and usage stay
// unless options say otherwise; if it has a usage, its name stays too.
func (r *keygenRun) certificateBefore() error {
	r.usage = certificateUsage{trusted: r.opt.has("trusted-cert"), private: r.opt.has("pvt-cert")}
	if r.usage.trusted && r.usage.private {
		return badOption("trusted-cert and pvt-cert at once; a certificate is for one scheme, TC or PC")
	}
	name := "ntpkey_cert_" + r.names.host
	fmt.Fprintf(r.say, "Using host %s group %s\n", r.names.host, r.names.group)
	data, err := r.dir.Read(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	cert, stamp, err := keyfile.ReadCertificate(data)
	if err != nil {
		return fmt.Errorf("%s: %w; remove it to start afresh", name, err)
	}
	r.old, r.oldStamp = cert, stamp
	if r.renew || !r.usage.trusted && !r.usage.private && (cert.Trusted || cert.Private) {
		r.usage = certificateUsage{trusted: cert.Trusted, private: cert.Private}
		r.names.subject = cert.Subject
	}
	return nil
}

// readKey reads a private key file of the directory; nil if there is none. Its
// filestamp is that of what is made from then on.
func (r *keygenRun) readKey(name string) (*keyfile.KeyFile, []byte, error) {
	data, err := r.dir.Read(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, err
	}
	f, err := r.decrypt(name, data)
	if err != nil {
		return nil, nil, fmt.Errorf("key file %s: %w", name, err)
	}
	r.stamp = f.Filestamp
	return f, data, nil
}

func (r *keygenRun) decrypt(name string, data []byte) (*keyfile.KeyFile, error) {
	f, err := keyfile.ReadKey(data, r.password.own())
	if errors.Is(err, keyfile.ErrPassword) && r.password.ask(name) {
		f, err = keyfile.ReadKey(data, r.password.own())
	}
	if errors.Is(err, keyfile.ErrPassword) {
		err = fmt.Errorf("%w; give it with --password-file FILE (without, it is the host name %q)", err, r.password.host)
	}
	return f, err
}

// bits returns the modulus of new host and sign keys.
func (r *keygenRun) bits() int { return r.opt.number("modulus", r.limits.bits) }

// ended ends the line of a progress display.
func (r *keygenRun) ended() {
	if r.progress != nil {
		fmt.Fprint(r.say, "\r\x1b[K")
	}
}

// hostKey makes a host key, or reads the one that is there.
func (r *keygenRun) hostKey() error {
	name := "ntpkey_host_" + r.names.host
	if !r.opt.has("host-key") {
		f, _, err := r.readKey(name)
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
			fmt.Fprintf(r.say, "Using host key %s\n", r.dir.Target(name))
			r.signer = key
			return nil
		}
		if r.renew {
			return fmt.Errorf("there is no host key %s; `keygen` makes a first one", name)
		}
	}
	key, err := r.newRSA("RSAhost", "host")
	r.signer = key
	return err
}

// newRSA makes an RSA key and its file.
func (r *keygenRun) newRSA(kind, link string) (keyfile.PrivateKey, error) {
	bits := r.bits()
	if err := r.limits.check(bits, 0); err != nil {
		return nil, err
	}
	fmt.Fprintf(r.say, "Generating RSA keys (%d bits)...\n", bits)
	key, err := keyfile.GenerateRSA(rand.Reader, bits, r.progress)
	r.ended()
	if err != nil {
		return nil, err
	}
	return key, r.write(kind, r.names.host, link, key)
}

// write makes the file of a private key.
func (r *keygenRun) write(kind, owner, link string, key any) error {
	if err := r.agreeOnPassword(); err != nil {
		return err
	}
	h := r.header(kind, owner)
	content, err := keyfile.EncodeKey(rand.Reader, h, key, r.encoding)
	if err != nil {
		return err
	}
	r.put(h, link, content)
	return nil
}

// agreeOnPassword sets the password of new files: that with which files were
// opened, or the given one, or the host name, which everybody can guess.
func (r *keygenRun) agreeOnPassword() error {
	if r.password.given == "" && r.encoding.Password == "" {
		r.warn("the private files are encrypted with the host name, which everybody can guess; use --password-file FILE and ntp.conf's \"crypto pw\"")
	}
	r.encoding.Password = r.password.own()
	return nil
}

// signKey makes a sign key if asked to, else reads the one that is there, else
// the host key signs.
func (r *keygenRun) signKey() error {
	switch kind := r.opt.text("sign-key"); {
	case kind == "RSA":
		key, err := r.newRSA("RSAsign", "sign")
		r.signer = key
		return err
	case kind == "DSA":
		return r.newDSA()
	case r.opt.has("sign-key"):
		return fmt.Errorf("invalid sign key type %q, want RSA or DSA", clipped(kind))
	}
	name := "ntpkey_sign_" + r.names.host
	f, _, err := r.readKey(name)
	if err != nil {
		return err
	}
	if f == nil {
		fmt.Fprintln(r.say, "Using host key as sign key")
		return nil
	}
	if r.signer, err = f.PrivateKey(); err != nil {
		return fmt.Errorf("key file %s: %w", name, err)
	}
	fmt.Fprintf(r.say, "Using sign key %s\n", r.dir.Target(name))
	return nil
}

func (r *keygenRun) newDSA() error {
	if !r.limits.allowDSA {
		return fmt.Errorf("ntpd %s crashes on DSA sign keys; use -S RSA", r.limits.version)
	}
	bits := r.bits()
	if err := r.limits.check(bits, 0); err != nil {
		return err
	}
	r.warn("ntpd 4.2.8 with OpenSSL 1.1 crashes on DSA sign keys, as server and as client; use -S RSA")
	fmt.Fprintf(r.say, "Generating DSA keys (%d bits)...\n", bits)
	key, err := keyfile.GenerateDSA(rand.Reader, bits, r.progress)
	r.ended()
	if err != nil {
		return err
	}
	r.signer = key
	return r.write("DSAsign", r.names.host, "sign", key)
}

// certificate makes the certificate, as every run does.
func (r *keygenRun) certificate() error {
	nid, err := r.scheme()
	if err != nil {
		return err
	}
	end := r.now.UTC().Truncate(time.Second).AddDate(0, 0, r.opt.number("lifetime", 365))
	if r.opt.number("lifetime", 365) < 0 || end.Year() > 9999 {
		return badOption("lifetime option value %d is out of range.\nit must be 0 or more days, and end before the year 10000", r.opt.number("lifetime", 365))
	}
	fmt.Fprintf(r.say, "Generating new certificate %s %s\n", r.names.subject, keyfile.CertificateScheme(nid))
	der, err := keyfile.CreateCertificate(rand.Reader, keyfile.CertificateTemplate{
		Subject: r.names.subject, Serial: ntpSeconds(r.now),
		NotBefore: r.now.UTC().Truncate(time.Second), NotAfter: end,
		Trusted: r.usage.trusted, Private: r.usage.private, GQPublic: r.gqPublic,
	}, r.signer, nid)
	if err != nil {
		return err
	}
	if r.renew {
		r.stamp = ntpSeconds(r.now)
	}
	h := r.header(keyfile.CertificateScheme(nid)+"cert", r.names.host)
	content, err := keyfile.EncodeCertificate(h, der)
	if err != nil {
		return err
	}
	i, err := keyfile.Inspect(content, "", r.now)
	if err != nil {
		return fmt.Errorf("the new certificate cannot be read: %w", err)
	}
	r.judge(i, nid)
	r.dir.Put(keydir.File{Name: h.FileName(), Link: "ntpkey_cert_" + r.names.host, Content: content})
	return nil
}

// scheme returns the algorithm of the certificate's signature.
func (r *keygenRun) scheme() (keyfile.NID, error) {
	name := r.limits.scheme
	switch {
	case r.opt.has("certificate"):
		name = r.opt.text("certificate")
	case r.opt.has("oldest-peer"):
		if _, dsa := r.signer.(*keyfile.DSAPrivateKey); dsa {
			name = "SHA1"
		}
	case r.old != nil && keyfile.CertificateScheme(r.old.NID) != "":
		name = keyfile.CertificateScheme(r.old.NID)
	}
	nid, err := keyfile.FindScheme(name, r.signer.Public())
	if err != nil {
		return 0, fmt.Errorf("invalid digest/signature combination %s: %w", clipped(name), err)
	}
	return nid, r.limits.check(r.signer.Public().Bits(), nid)
}

// judge warns of a certificate that real peers do not take, or that is weak.
func (r *keygenRun) judge(i *keyfile.Inspection, nid keyfile.NID) {
	if !i.Server.OK && r.opt.number("lifetime", 1) != 0 {
		for _, reason := range i.Server.Reasons {
			r.warn("certificate: %s", reason)
		}
	}
	if r.old != nil && int32(r.stamp-r.oldStamp) <= 0 {
		r.warn("running peers keep the old certificate, since the filestamp %d has not changed (ntp-keygen does the same); `ntsbridge keygen renew` makes one that they take over", r.stamp)
	}
	if i.Bits < 1024 || nid == keyfile.RSAMD5 || nid == keyfile.RSAMD4 {
		r.warn("a key of %d bits with signatures of %v is weak; --oldest-peer 4.2.8 makes RSA 2048 with SHA-256 (with -H for the host key)", i.Bits, nid)
	}
}
