package keyfile

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"time"

	"golang.org/x/crypto/cryptobyte"

	"ntsbridge/bridge/ntp"
)

// Inspection is what can be said of one file without any other. It has no
// secret in it.
type Inspection struct {
	Kind      Kind      `json:"kind"`
	Label     string    `json:"label,omitempty"` // line 1, without filestamp
	Owner     string    `json:"owner,omitempty"` // host or group in line 1
	Filestamp uint32    `json:"filestamp"`       // NTP seconds
	Made      time.Time `json:"made"`            // the filestamp as a date
	Form      string    `json:"form"`            // "traditional PEM", "PKCS #8", "CERTIFICATE"
	Encrypted string    `json:"encrypted,omitempty"`
	Algorithm string    `json:"algorithm"`
	Bits      int       `json:"bits"` // length of the modulus
	// Fingerprint is SHA-256 of the public key (SubjectPublicKeyInfo), so a
	// certificate and its key have the same; of identity files it is of the
	// group, the same for the server's and the clients' files. It is empty if
	// the values for it are missing.
	Fingerprint string           `json:"fingerprint,omitempty"`
	Certificate *CertificateFact `json:"certificate,omitempty"`
	MVKeys      []MVKeyFact      `json:"mv_keys,omitempty"`
	// Server and Client say whether ntpd 4.2.8p15 takes the file in this role;
	// nil where it does not read such a file.
	Server *Acceptance `json:"server,omitempty"`
	Client *Acceptance `json:"client,omitempty"`
	// Findings are weaknesses and other things to know.
	Findings []Finding `json:"findings,omitempty"`
}

// CertificateFact is what an Inspection says of a certificate.
type CertificateFact struct {
	Subject   string    `json:"subject"`
	Issuer    string    `json:"issuer"`
	Serial    string    `json:"serial"`
	NotBefore time.Time `json:"not_before"`
	NotAfter  time.Time `json:"not_after"`
	Signature string    `json:"signature"` // OpenSSL's long name
	Trusted   bool      `json:"trusted"`
	Private   bool      `json:"private"`
	GQ        bool      `json:"gq"` // carries the public value of a GQ key
}

// MVKeyFact is what an Inspection says of a client key in a trusted
// authority's file.
type MVKeyFact struct {
	Number  int  `json:"number"`
	Revoked bool `json:"revoked"`
}

// Acceptance is whether a daemon takes a file, and if not, why.
type Acceptance struct {
	OK      bool     `json:"ok"`
	Reasons []string `json:"reasons,omitempty"` // why not, with what to do
}

func (a *Acceptance) refuse(format string, args ...any) {
	a.OK = false
	a.Reasons = append(a.Reasons, fmt.Sprintf(format, args...))
}

// Inspect looks at one file. The password is used only if the file is
// encrypted. now is for what expires. The error is that of ReadKey or
// ReadCertificate: no daemon can read the file then. With ErrPassword there is
// an Inspection too, of what can be seen from outside.
func Inspect(data []byte, password string, now time.Time) (*Inspection, error) {
	c, err := openContainer(data)
	if err != nil {
		return nil, err
	}
	l := readLabel(data)
	i := &Inspection{
		Label: l.name, Owner: l.owner, Filestamp: c.filestamp,
		Made:   ntp.Timestamp(uint64(c.filestamp) << 32).Time(now).Round(time.Second).UTC(),
		Form:   formOf(c.blocks[0]),
		Server: &Acceptance{OK: true}, Client: &Acceptance{OK: true},
	}
	if i.Made.After(now) {
		i.find(FindFilestamp, "the filestamp lies in the future: peers refuse what is signed before it")
	}
	if !isPrivateKey(c.blocks[0]) {
		return i, i.certificate(data, now)
	}
	i.Encrypted = encryptionOf(c.blocks[0])
	keys, err := c.privateKeys(password)
	if errors.Is(err, ErrPassword) {
		i.Server, i.Client = nil, nil
		return i, err
	}
	if err != nil {
		return nil, err
	}
	i.Kind = kindOf(l, keys)
	k := &KeyFile{c.filestamp, i.Encrypted != "", i.Form == "PKCS #8", keys[0]}
	return i, i.key(k, keys, data, password)
}

func (i *Inspection) find(code, text string) {
	i.Findings = append(i.Findings, Finding{Code: code, Text: text})
}

// key fills in what there is to say of a private key.
func (i *Inspection) key(k *KeyFile, keys []*rawKey, data []byte, password string) error {
	switch i.Kind {
	case KindHostKey, KindSignKey:
		return i.hostOrSignKey(k)
	case KindIFFKey, KindIFFGroup:
		i.iff(k)
	case KindGQKey, KindGQGroup:
		i.gq(k)
	case KindMVKey, KindMVGroup:
		i.mv(k)
	case KindMVAuthority:
		i.mvAuthority(keys, data, password)
	}
	if i.Client != nil && i.Encrypted != "" {
		i.Client.refuse("encrypted: ntpd asks for a password on its terminal and exits; `keygen repair` writes it in the clear")
	}
	return nil
}

func (i *Inspection) hostOrSignKey(k *KeyFile) error {
	key, err := k.PrivateKey()
	if err != nil {
		return err
	}
	i.public(key.Public())
	if _, ok := key.(*DSAPrivateKey); ok {
		const text = "DSA: ntpd 4.2.8 with OpenSSL 1.1 crashes on it at its first clock synchronisation; make an RSA sign key (-S RSA)"
		i.Server.refuse(text)
		i.Client.refuse(text)
		i.find(FindDSASign, text)
	}
	return nil
}

// public fills in what there is to say of a public key.
func (i *Inspection) public(key PublicKey) {
	i.Algorithm, i.Bits = "RSA", key.Bits()
	if _, ok := key.(*DSAPublicKey); ok {
		i.Algorithm = "DSA"
	}
	if der, err := marshalSPKI(key); err == nil {
		sum := sha256.Sum256(der)
		i.Fingerprint = hex.EncodeToString(sum[:])
	}
	if i.Bits < weakBits {
		i.find(FindWeakKey, fmt.Sprintf("modulus of %d bits; today's least is %d", i.Bits, weakBits))
	}
}

// group fills in the modulus and the fingerprint of an identity group.
func (i *Inspection) group(algorithm string, modulus *big.Int, public ...*big.Int) {
	i.Algorithm, i.Bits = algorithm, modulus.BitLen()
	var b cryptobyte.Builder
	addIntegers(&b, append([]*big.Int{modulus}, public...)...)
	if der, err := b.Bytes(); err == nil {
		sum := sha256.Sum256(der)
		i.Fingerprint = hex.EncodeToString(sum[:])
	}
}

// iff judges IFF files. ntpd takes the public value as the file has it; of PKCS
// #8 OpenSSL computes g^x, which is not v.
func (i *Inspection) iff(k *KeyFile) {
	r := k.raw
	i.Algorithm, i.Bits = "IFF", r.p.BitLen()
	if _, err := k.IFFKey(); err != nil {
		i.Server.refuse("%s", short(err))
	}
	p, err := k.IFFParameters()
	if err != nil {
		i.Client.refuse("the public value v is missing or wrong, so every answer fails; `keygen repair --server-key FILE` makes it again")
		return
	}
	i.group("IFF", p.P, p.Q, p.G, p.V)
	if r.y == nil || r.y.Cmp(p.V) != 0 {
		i.Client.refuse("%s without the public value v: ntpd computes a wrong one; `keygen repair` makes a group file of it", i.Form)
		return
	}
	if i.Kind == KindIFFKey {
		i.find(FindSecretOutside, "has the group's secret: a client needs the export (-e) only")
	}
}

// gq judges GQ files by the places where ntpd 4.2.8p15 looks for u and b.
func (i *Inspection) gq(k *KeyFile) {
	v := k.raw.rsa
	n, e, d := v[0], v[1], v[2]
	i.Algorithm, i.Bits = "GQ", n.BitLen()
	key, err := k.GQKey()
	switch {
	case err != nil:
		i.Server.refuse("%s", short(err))
	case e.Cmp(key.U) != 0 || d.Cmp(key.B) != 0:
		i.Server.refuse("arranged as ntp-keygen writes it: ntpd 4.2.8p15 looks for u and b in other places and answers wrongly; " +
			"`keygen repair` rearranges it")
	}
	p, err := k.gqParameters()
	if err != nil {
		i.Client.refuse("%s", short(err))
		return
	}
	i.group("GQ", p.N)
	if d.Cmp(p.B) != 0 {
		i.Client.refuse("arranged as ntp-keygen writes it: ntpd 4.2.8p15 computes with the exponent 1; `keygen repair` rearranges it")
	}
	if i.Bits > maxGQBits {
		i.Client.refuse("modulus of %d bits: ntpd 4.2.8 cuts the public value in the certificate, above %d bits wrongly; make a "+
			"smaller group (-G -b %d)", i.Bits, maxGQBits, maxGQBits)
		i.find(FindGQTooLarge, fmt.Sprintf("clients of ntpd 4.2.8 manage at most %d bits", maxGQBits))
	}
	if key != nil {
		i.find(FindSecretOutside, "has the server's secret: a client needs the export (-e) only")
	}
}

func (i *Inspection) mv(k *KeyFile) {
	i.group("MV", k.raw.p)
	if _, err := k.mvKey(); err != nil {
		i.Server.refuse("%s", short(err))
	}
	if _, err := k.MVParameters(); err != nil {
		i.Client.refuse("%s", short(err))
	}
	if k.raw.y == nil {
		i.find(FindIncomplete, mvExport)
	}
}

// mvAuthority judges the file that no daemon reads.
func (i *Inspection) mvAuthority(keys []*rawKey, data []byte, password string) {
	i.Server, i.Client = nil, nil
	i.group("MV", keys[0].p)
	g, _, err := ReadMVGroup(data, password)
	if err != nil {
		i.find(FindIncomplete, short(err))
		return
	}
	for j := range g.Clients {
		i.MVKeys = append(i.MVKeys, MVKeyFact{j + 1, !g.Works(j + 1)})
	}
}

// certificate fills in what there is to say of a certificate.
func (i *Inspection) certificate(data []byte, now time.Time) error {
	c, _, err := ReadCertificate(data)
	if err != nil {
		return err
	}
	i.Kind = KindCertificate
	i.public(c.PublicKey)
	i.Certificate = &CertificateFact{
		Subject: c.Subject, Issuer: c.Issuer, Serial: c.Serial.String(),
		NotBefore: c.NotBefore.UTC(), NotAfter: c.NotAfter.UTC(), Signature: c.NID.String(),
		Trusted: c.Trusted, Private: c.Private, GQ: c.GQPublic != nil,
	}
	refuse := func(format string, args ...any) {
		i.Server.refuse(format, args...)
		i.Client.refuse(format, args...)
	}
	if !c.SelfSigned() {
		refuse("issued by %q: ntpd takes its own certificate self-signed only", c.Issuer)
	} else if err := c.CheckSignature(DefaultPolicy(), c.PublicKey); err != nil {
		refuse("its own signature: %s", short(err))
	}
	if start := ntp.TimestampFromTime(c.NotBefore).Seconds(); int32(start-i.Filestamp) < 0 {
		refuse("valid from before its filestamp, so peers refuse it; `keygen renew` makes a new one")
	}
	if a := c.NID.find(); a != nil && a.family == familyDSA {
		refuse("made with a DSA sign key, on which ntpd 4.2.8 with OpenSSL 1.1 crashes")
	}
	if size := len(c.Raw) + octets(modulusOf(c.PublicKey)) + fieldOverhead; size > maxField {
		i.Server.refuse("does not fit into an answer of ntpd: %d octets with a signature, at most %d", size, maxField)
	}
	i.certificateValidity(c, now, refuse)
	i.certificateFindings(c)
	return nil
}

// Sizes of extension fields: ntpd sends at most maxField octets; a value with
// signature has fieldOverhead octets around it, without padding.
const (
	maxField      = 2048
	fieldOverhead = 24
)

func modulusOf(k PublicKey) *big.Int {
	switch k := k.(type) {
	case *RSAPublicKey:
		return k.N
	case *DSAPublicKey:
		return k.P
	}
	return new(big.Int)
}

func (i *Inspection) certificateValidity(c *Certificate, now time.Time, refuse func(string, ...any)) {
	const day = "2 January 2006 15:04 UTC"
	switch {
	case !c.NotBefore.Before(c.NotAfter) && !c.NotBefore.Equal(c.NotAfter):
		refuse("ends before it begins: peers refuse it")
	case now.After(c.NotAfter):
		refuse("expired on %s: the server signs nothing for its clients, a client does not get its own certificate signed; `keygen "+
			"renew` makes a new one", c.NotAfter.UTC().Format(day))
		i.find(FindExpired, "expired on "+c.NotAfter.UTC().Format(day))
	case now.Before(c.NotBefore):
		i.find(FindNotYetValid, "valid from "+c.NotBefore.UTC().Format(day))
	case c.NotAfter.Sub(now) < expirySoon:
		i.find(FindExpiresSoon, "expires on "+c.NotAfter.UTC().Format(day))
	}
}

func (i *Inspection) certificateFindings(c *Certificate) {
	switch c.NID {
	case RSAMD4, RSAMD5, RSASHA1, RSASHA1Old, RSARIPEMD160, DSASHA1, DSASHA1Old:
		i.find(FindWeakDigest, fmt.Sprintf("signed with %v; -c RSA-SHA256 makes better ones", c.NID))
	}
	if !c.Trusted && !c.Private {
		i.find(FindUntrusted,
			"neither trusted (-T) nor private (-P): clients can use this host only once a trusted host has signed its certificate")
	}
	if _, group, grouped := strings.Cut(c.Subject, "@"); grouped {
		i.find(FindGroup, groupRule(group))
	}
	if c.GQPublic != nil && octets(c.GQPublic) > maxGQBits/8 {
		i.find(FindGQTooLarge, fmt.Sprintf("GQ public value of %d octets, clients of ntpd 4.2.8 manage %d", octets(c.GQPublic),
			maxGQBits/8))
	}
}

// short returns an error's text for a reason.
func short(err error) string { return err.Error() }
