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
	for _, b := range list {
		if b.Type != "CERTIFICATE" {
			continue
		}
		if leaf, parsed := x509.ParseCertificate(b.Bytes); parsed == nil && leaf.PublicKeyAlgorithm == x509.UnknownPublicKeyAlgorithm {
			err = errors.New("the kind of its key (such as Ed448 or RSA-PSS only) is unknown to TLS 1.3 as most clients speak it: use ECDSA P-256, RSA or Ed25519")
		}
		break
	}
	if len(list) == 0 && cut {
		err = errors.New("the file is cut off: its first block has no end")
	}
	return c, cut, err
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
