package keyfile

import (
	"errors"
	"fmt"
	"io/fs"
	"time"

	"ntsbridge/autokey/identity"
)

// HostOptions are the words of ntp.conf's crypto line.
type HostOptions struct {
	Host     string    // crypto host: name in the file names; required
	Ident    string    // crypto ident: name in the identity key files; default Host
	Password string    // crypto pw: of all private files; default Host
	Now      time.Time // for the findings; zero: validity is not judged
}

// Format implements fmt.Formatter; it never prints the password.
func (o HostOptions) Format(s fmt.State, _ rune) {
	fmt.Fprintf(s, "host %q, ident %q", o.Host, o.Ident)
}

// Host is the key set of a host: what ntpd reads at its start.
type Host struct {
	Name                 string // common name of the certificate, with @group
	HostKey              *RSAPrivateKey
	HostFilestamp        uint32     // NTP seconds, as all filestamps
	SignKey              PrivateKey // nil: HostKey signs
	SignFilestamp        uint32
	Certificate          *Certificate // self-signed
	CertificateFilestamp uint32
	IFF                  *identity.IFFKey // nil: scheme not offered
	IFFFilestamp         uint32
	GQ                   *identity.GQKey // nil: scheme not offered
	GQFilestamp          uint32
	MV                   *identity.MVKey // nil: scheme not offered
	MVFilestamp          uint32
	Findings             []Finding // what works, but should be known
}

// Signer returns the key that signs messages and certificates.
func (h *Host) Signer() PrivateKey {
	if h.SignKey != nil {
		return h.SignKey
	}
	return h.HostKey
}

// NID returns the algorithm of the host's signatures: that of its certificate.
func (h *Host) NID() NID { return h.Certificate.NID }

// LoadHost reads the key set of a host from its key directory with the rules
// of ntpd 4.2.8: ntpkey_host_HOST and ntpkey_cert_HOST must be there,
// ntpkey_sign_HOST and ntpkey_{iff,gq,mv}key_IDENT may be missing; one password
// opens all private files; the certificate must be self-signed.
//
// A file that is there and cannot be read is an error, a *FileError. Identity
// files that ntp-keygen leaves without some of the values are not: ntpd would
// offer the scheme and fail every client; here the scheme is not offered, and
// a finding says so.
func LoadHost(fsys fs.FS, opt HostOptions) (*Host, error) {
	l := &loader{fsys: fsys, opt: opt, host: new(Host)}
	if opt.Ident == "" {
		l.opt.Ident = opt.Host
	}
	if opt.Password == "" {
		l.opt.Password = opt.Host
	}
	for _, step := range []func() error{l.hostKey, l.signKey, l.certificate, l.iff, l.gq, l.mv} {
		if err := step(); err != nil {
			return nil, err
		}
	}
	l.judge()
	return l.host, nil
}

// loader is the state of one LoadHost.
type loader struct {
	fsys      fs.FS
	opt       HostOptions
	host      *Host
	encrypted string // name of an encrypted file
}

// key reads one private key file. A missing file gives nil.
func (l *loader) key(kind, owner string) (f *KeyFile, name string, err error) {
	name = "ntpkey_" + kind + "_" + owner
	data, err := readFile(l.fsys, name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, name, nil
	}
	if err != nil {
		return nil, name, inFile(name, err)
	}
	f, err = ReadKey(data, l.opt.Password)
	if errors.Is(err, ErrPassword) {
		err = fmt.Errorf("%w; one password opens all private files of a host: set it as ntp.conf's \"crypto pw\" does (default is "+
			"the host name)", err)
	}
	if err != nil {
		return nil, name, inFile(name, err)
	}
	if f.Encrypted {
		l.encrypted = name
	}
	return f, name, nil
}

func (l *loader) hostKey() error {
	f, name, err := l.key("host", l.opt.Host)
	if err != nil {
		return err
	}
	if f == nil {
		return inFile(name, fmt.Errorf("%w, or a link to nothing; check key directory and host name, or make the keys with "+
			"ntp-keygen", fs.ErrNotExist))
	}
	key, err := f.PrivateKey()
	if err != nil {
		return inFile(name, err)
	}
	rsa, ok := key.(*RSAPrivateKey)
	if !ok {
		return inFile(name, fmt.Errorf("%w: the host key must be RSA", ErrKeyType))
	}
	l.host.HostKey, l.host.HostFilestamp = rsa, f.Filestamp
	l.weak(name, rsa.Bits())
	return nil
}

func (l *loader) signKey() error {
	f, name, err := l.key("sign", l.opt.Host)
	if err != nil || f == nil {
		return err
	}
	key, err := f.PrivateKey()
	if err != nil {
		return inFile(name, err)
	}
	l.host.SignKey, l.host.SignFilestamp = key, f.Filestamp
	l.weak(name, key.Public().Bits())
	if _, ok := key.(*DSAPrivateKey); ok {
		l.find(name, FindDSASign, "DSA sign key: ntpd 4.2.8 with OpenSSL 1.1 crashes on it, as server and as client; make an RSA one")
	}
	return nil
}

func (l *loader) certificate() error {
	name := "ntpkey_cert_" + l.opt.Host
	data, err := readFile(l.fsys, name)
	if errors.Is(err, fs.ErrNotExist) {
		return inFile(name, fmt.Errorf("%w, or a link to nothing; make a certificate with ntp-keygen", fs.ErrNotExist))
	}
	if err != nil {
		return inFile(name, err)
	}
	cert, stamp, err := ReadCertificate(data)
	if err != nil {
		return inFile(name, err)
	}
	if !cert.SelfSigned() {
		return inFile(name, fmt.Errorf("%w: not self-signed, issuer and subject differ; make one with ntp-keygen", ErrCertificate))
	}
	if err := cert.CheckSignature(DefaultPolicy(), cert.PublicKey); err != nil {
		return inFile(name, fmt.Errorf("%w: its own signature: %w", ErrCertificate, err))
	}
	signer := l.host.Signer().Public()
	if err := DefaultPolicy().Allow(cert.NID, signer); err != nil {
		return inFile(name, fmt.Errorf("%w: %w", ErrCertificate, err))
	}
	if a := cert.NID.find(); a.family != signer.family() {
		return inFile(name, fmt.Errorf("%w: made with %v, but the sign key is of another kind; make a new one with ntp-keygen",
			ErrCertificate, cert.NID))
	}
	l.host.Certificate, l.host.CertificateFilestamp, l.host.Name = cert, stamp, cert.Subject
	return nil
}

func (l *loader) iff() error {
	f, name, err := l.key("iffkey", l.opt.Ident)
	if err != nil || f == nil {
		return err
	}
	key, err := f.IFFKey()
	if err == nil {
		l.host.IFF, l.host.IFFFilestamp = key, f.Filestamp
	}
	return l.unusable(name, err)
}

func (l *loader) gq() error {
	f, name, err := l.key("gqkey", l.opt.Ident)
	if err != nil || f == nil {
		return err
	}
	key, err := f.GQKey()
	if err == nil {
		l.host.GQ, l.host.GQFilestamp = key, f.Filestamp
		l.judgeGQ(name)
	}
	return l.unusable(name, err)
}

func (l *loader) mv() error {
	f, name, err := l.key("mvkey", l.opt.Ident)
	if err != nil || f == nil {
		return err
	}
	key, err := f.mvKey()
	if err == nil {
		l.host.MV, l.host.MVFilestamp = key, f.Filestamp
	}
	return l.unusable(name, err)
}

// unusable turns the error of an incomplete identity file into a finding.
func (l *loader) unusable(name string, err error) error {
	if errors.Is(err, ErrIncomplete) {
		l.find(name, FindIncomplete, "scheme not offered: "+err.Error())
		return nil
	}
	return inFile(name, err)
}
