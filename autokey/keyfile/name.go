package keyfile

import (
	"encoding/asn1"
	"strings"

	"golang.org/x/crypto/cryptobyte"
	casn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// maxOneLine is the length of the buffer in which ntpd writes a name on one
// line, less the final NUL; what goes beyond it is left out.
const maxOneLine = 255

// attributeNames are OpenSSL's short names of the attribute types that names
// are made of.
var attributeNames = map[string]string{
	"2.5.4.3": "CN", "2.5.4.4": "SN", "2.5.4.5": "serialNumber", "2.5.4.6": "C", "2.5.4.7": "L",
	"2.5.4.8": "ST", "2.5.4.9": "street", "2.5.4.10": "O", "2.5.4.11": "OU", "2.5.4.12": "title",
	"2.5.4.13": "description", "2.5.4.17": "postalCode", "2.5.4.41": "name", "2.5.4.42": "GN",
	"2.5.4.43": "initials", "2.5.4.44": "generationQualifier", "2.5.4.46": "dnQualifier", "2.5.4.65": "pseudonym",
	"1.2.840.113549.1.9.1": "emailAddress", "1.2.840.113549.1.9.2": "unstructuredName",
	"0.9.2342.19200300.100.1.1": "UID", "0.9.2342.19200300.100.1.25": "DC",
}

// commonName returns the name of a host in a DER Name as ntpd finds it:
// everything behind the first "CN=" of the one-line form.
func commonName(name []byte) (string, error) {
	line, err := oneLine(name)
	if err != nil {
		return "", err
	}
	_, cn, found := strings.Cut(line, "CN=")
	if !found {
		return "", malformed("no common name")
	}
	return cn, nil
}

// oneLine returns a Name as X509_NAME_oneline writes it: "/C=DE/CN=tick", with
// octets outside of printable ASCII as \xHH.
func oneLine(name []byte) (string, error) {
	input, names := cryptobyte.String(name), cryptobyte.String(nil)
	if !input.ReadASN1(&names, casn1.SEQUENCE) || !input.Empty() {
		return "", malformed("name")
	}
	var line strings.Builder
	for !names.Empty() {
		var set cryptobyte.String
		if !names.ReadASN1(&set, casn1.SET) {
			return "", malformed("name")
		}
		for !set.Empty() {
			part, err := attribute(&set)
			if err != nil {
				return "", err
			}
			if line.Len()+len(part) > maxOneLine {
				return line.String(), nil
			}
			line.WriteString(part)
		}
	}
	return line.String(), nil
}

// attribute reads one AttributeTypeAndValue and returns it as "/TYPE=value".
func attribute(set *cryptobyte.String) (string, error) {
	var pair, value cryptobyte.String
	var id asn1.ObjectIdentifier
	var tag casn1.Tag
	if !set.ReadASN1(&pair, casn1.SEQUENCE) || !pair.ReadASN1ObjectIdentifier(&id) ||
		!pair.ReadAnyASN1(&value, &tag) || !pair.Empty() {
		return "", malformed("name")
	}
	label, known := attributeNames[id.String()]
	if !known {
		label = id.String()
	}
	const hex = "0123456789ABCDEF"
	var b strings.Builder
	b.WriteString("/" + label + "=")
	for _, c := range value {
		if c < ' ' || c > '~' {
			b.WriteString(`\x`)
			b.WriteByte(hex[c>>4])
			b.WriteByte(hex[c&15])
		} else {
			b.WriteByte(c)
		}
	}
	return b.String(), nil
}
