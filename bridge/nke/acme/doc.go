// Package acme gets certificates for the NTS-KE server by ACME (RFC 8555) and
// renews them: at two thirds of their life, with some jitter, so that many
// servers do not come at once. What fails is tried again later and later, and
// the certificate that is there stays in use.
//
// The protocol is golang.org/x/crypto/acme's. Challenges are http-01 and
// tls-alpn-01 (RFC 8737), answered by a listener that is there only meanwhile,
// and dns-01 by a program of the site. Addresses are identifiers too (RFC 8738).
//
// Account and keys are in a directory of the daemon's, for its owner only.
package acme
