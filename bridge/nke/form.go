package nke

import (
	"bytes"
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// This file reads the forms in which certificates and keys come: PEM as tools
// and editors leave it, and DER. What is refused is refused with its reason.

var (
	byteOrderMark = []byte("\xef\xbb\xbf")
	indentation   = regexp.MustCompile(`(?m)^[ \t]+`)
	joinedBlocks  = regexp.MustCompile(`(-----END [A-Z0-9 ]+-----)[ \t]*(-----BEGIN )`)
	beginning     = []byte("-----BEGIN ")
)

// pemOf returns the text as Go's package pem takes it. A file that is DER
// becomes a block of the given type.
func pemOf(text []byte, block string) []byte {
	if len(text) > 1 && text[0] == 0x30 && !bytes.Contains(text, beginning) {
		return pem.EncodeToMemory(&pem.Block{Type: block, Bytes: text})
	}
	text = bytes.TrimPrefix(text, byteOrderMark)
	text = bytes.ReplaceAll(text, []byte("\r"), nil)
	text = indentation.ReplaceAll(text, nil)
	return joinedBlocks.ReplaceAll(text, []byte("$1\n$2"))
}

// blocks returns the blocks of a text; cut says that it ends within one.
func blocks(text []byte) (list []*pem.Block, cut bool) {
	for {
		block, rest := pem.Decode(text)
		if block == nil {
			return list, bytes.Contains(text, beginning)
		}
		list, text = append(list, block), rest
	}
}

// parsePair makes a certificate with its key of two texts. cut says that the
// last block of the certificates is cut off.
func parsePair(cert, key []byte) (c tls.Certificate, cut bool, err error) {
	raw, rawKey := cert, key
	cert, key = pemOf(cert, "CERTIFICATE"), pemOf(key, "PRIVATE KEY")
	defer clear(key)
	list, cut := blocks(cert)
	if err := refuseKey(key); err != nil {
		return c, cut, err
	}
	c, err = tls.X509KeyPair(cert, key)
	if err == nil {
		return c, cut, nil
	}
	if n := ownerOf(list, key); n > 0 {
		return c, cut, fmt.Errorf("wrong order: the key belongs to certificate %d of the file; put that one first, then the one that issued it, and so on",
			n+1)
	}
	if why := refuseCertificate(raw, list, cut); why != nil {
		return c, cut, why
	}
	if why := missingKey(key, rawKey); why != nil {
		return c, cut, why
	}
	if strings.Contains(err.Error(), "private key does not match") || strings.Contains(err.Error(), "private key type does not match") {
		err = fmt.Errorf("%w: the key is another certificate's; name the one that the request was made with", err)
	}
	return c, cut, err
}

// insteadOf says what is in a file that has no certificate, and what to do.
var insteadOf = map[string]string{
	"PKCS7":               "PKCS #7; write its certificates with openssl pkcs7 -print_certs -in FILE -out NEW",
	"CERTIFICATE REQUEST": "a request for a certificate; name the file that the authority made of it",
	"TRUSTED CERTIFICATE": "a form of OpenSSL's own; write it anew with openssl x509 -in FILE -out NEW",
	"PUBLIC KEY":          "a public key; name the file of the certificate",
}

// refuseCertificate says why there is no certificate in a file; nil: there is one.
func refuseCertificate(raw []byte, list []*pem.Block, cut bool) error {
	for _, b := range list {
		if b.Type != "CERTIFICATE" {
			continue
		}
		leaf, err := x509.ParseCertificate(b.Bytes)
		switch {
		case err != nil && strings.Contains(err.Error(), "unsupported elliptic curve"):
			return errors.New("the curve of its key is none that TLS 1.3 clients know: use P-256")
		case err != nil && bytes.Contains(b.Bytes, pkcs7Data):
			return errors.New("the certificate file is PKCS #12; write its parts with openssl pkcs12 -nodes -in FILE -out NEW, and name that for both")
		case err != nil:
			return fmt.Errorf("the certificate file cannot be read: %w", err)
		case leaf.PublicKeyAlgorithm == x509.UnknownPublicKeyAlgorithm:
			return errors.New("the kind of its key (such as Ed448 or RSA-PSS only) is unknown to TLS 1.3 as most clients speak it: use ECDSA P-256, RSA or Ed25519")
		}
		return nil
	}
	switch {
	case len(list) == 0 && cut:
		return errors.New("the file is cut off: its first block has no end")
	case len(list) == 0:
		return errors.New("the certificate file " + noBlocks(raw))
	}
	for _, b := range list {
		if what, ok := insteadOf[b.Type]; ok {
			return errors.New("the certificate file has " + what)
		}
	}
	return fmt.Errorf("the certificate file has no block CERTIFICATE, but %s; are the files of certificate and key mixed up?", list[0].Type)
}

// pkcs7Data is the object identifier that every file of PKCS #12 has in it.
var pkcs7Data = []byte{0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x01}

// noBlocks says what a file without any block of PEM is.
func noBlocks(raw []byte) string {
	switch {
	case len(bytes.TrimSpace(raw)) == 0:
		return "is empty: whatever writes it has not done so yet, or failed"
	case bytes.HasPrefix(raw, []byte{0xff, 0xfe}) || bytes.HasPrefix(raw, []byte{0xfe, 0xff}):
		return "is UTF-16: save it as plain text (ASCII or UTF-8)"
	case bytes.HasPrefix(raw, []byte{0x1f, 0x8b}):
		return "is compressed: unpack it (gunzip)"
	}
	return "is neither PEM nor DER: there is no -----BEGIN in it"
}

// missingKey says why there is no private key in a file; nil: there is one.
func missingKey(text, raw []byte) error {
	list, cut := blocks(text)
	for _, b := range list {
		if b.Type == "OPENSSH PRIVATE KEY" {
			return errors.New("the key file is a key of SSH: write it as PEM (ssh-keygen -p -m PEM -f COPY), or make another one")
		}
		if b.Type == "PRIVATE KEY" || strings.HasSuffix(b.Type, " PRIVATE KEY") {
			return nil
		}
	}
	switch {
	case cut:
		return errors.New("the private key file is cut off: its block has no end; copy it anew")
	case len(list) == 0:
		return errors.New("the private key file " + noBlocks(raw))
	}
	return fmt.Errorf("the private key file has a block %s and no private key; are the files of certificate and key mixed up?", list[0].Type)
}

// refuseKey says why a private key cannot be read, where that is known.
func refuseKey(text []byte) error {
	list, _ := blocks(text)
	for _, b := range list {
		if b.Type == "ENCRYPTED PRIVATE KEY" || b.Headers["DEK-Info"] != "" {
			return errors.New("the private key is encrypted: write it without a password (openssl pkey -in KEY -out KEY.plain), readable by the daemon alone")
		}
	}
	return nil
}

// ownerOf returns the index of the certificate that a key belongs to; -1: none.
func ownerOf(list []*pem.Block, key []byte) int {
	n := -1
	for _, b := range list {
		if b.Type != "CERTIFICATE" {
			continue
		}
		n++
		pair, err := tls.X509KeyPair(pem.EncodeToMemory(b), key)
		if err == nil {
			_, signs := pair.PrivateKey.(crypto.Signer)
			if signs {
				return n
			}
		}
	}
	return -1
}
