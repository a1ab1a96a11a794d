package keygen

import (
	"fmt"
	"strings"

	"ntsbridge/autokey/keyfile"
)

// Make plans everything that the options ask for: it makes keys and
// certificates and writes nothing. An error that is ErrUsage is about the
// options, ErrStillValid ends a renewal that is not due.
func Make(in Inputs) (*Plan, error) {
	m, err := newMaker(&in)
	if err != nil {
		return nil, err
	}
	steps := []func() error{m.certificateBefore, m.hostKey, m.signKey, m.gq, m.iff, m.mv, m.exports, m.certificate}
	switch {
	case in.Options.Has("md5key"):
		steps = []func() error{m.symmetricKeys}
	case in.Renew:
		steps = []func() error{m.certificateBefore, m.renewable, m.hostKey, m.signKey, m.gq, m.certificate}
	}
	for _, step := range steps {
		if err := step(); err != nil {
			return nil, err
		}
	}
	return &Plan{Files: m.files, Output: m.exported.Bytes(), Password: m.password()}, nil
}

func newMaker(in *Inputs) (*maker, error) {
	m := &maker{in: in, stamp: ntpSeconds(in.Now)}
	err := allowed(in)
	if err != nil {
		return nil, err
	}
	if m.names, err = namesOf(in.Options, in.System); err != nil {
		return nil, err
	}
	if m.limits, err = limitsOf(in.Options); err != nil {
		return nil, err
	}
	m.encoding = keyfile.Encoding{Traditional: !in.Options.Has("pkcs8"), Cipher: keyfile.DefaultCipher}
	if in.Options.Has("cipher") {
		if m.encoding.Cipher, err = findCipher(in.Options.Text("cipher")); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// allowed refuses options that do not go with what is done.
func allowed(in *Inputs) error {
	v := in.Options
	if in.Renew {
		for _, name := range []string{"id-key", "gq-params", "iffkey", "ident", "md5key", "pvt-cert", "export-passwd",
			"export-password-file", "sign-key", "trusted-cert", "mv-params", "mv-keys", "mv-client", "scheme"} {
			if v.Has(name) {
				return badOption("the %s option does not go with renew, which keeps what the certificate says", name)
			}
		}
	} else if v.Has("if-expires-within") {
		return badOption("the if-expires-within option goes with renew only")
	}
	switch v.Text("scheme") {
	case "", "iff", "gq", "mv":
	default:
		return badOption("scheme %q: want iff, gq or mv", clipped(v.Text("scheme")))
	}
	if v.Has("mv-client") && !v.Has("id-key") {
		return badOption("the mv-client option goes with -e only")
	}
	return nil
}

// findCipher checks the name of a cipher.
func findCipher(name string) (string, error) {
	for _, c := range keyfile.Ciphers() {
		if strings.EqualFold(c, name) {
			return c, nil
		}
	}
	return "", fmt.Errorf("unknown cipher %s, want one of %v", clipped(name), keyfile.Ciphers())
}
