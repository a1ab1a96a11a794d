// Package nts is Network Time Security for NTPv4 (RFC 8915): the records of
// NTS Key Establishment and both roles over them, the key schedule, cookies,
// and the extension fields of NTS-protected packets in both roles.
//
// Beside the RFC it follows what chrony 4.4 to 4.8, ntpsec 1.2 and ntpd-rs
// really send: see Agreement for AES-128-GCM-SIV keys of chrony before 4.6.1,
// Session for the framing that ntpsec insists on.
//
// What the RFC demands, each with its tests, is listed in rfc8915.md.
//
// Pure: time, randomness and bytes are arguments. The TLS shell is bridge/nke,
// sockets are bridge/server. The AEAD algorithms are in nts/aead.
//
// It does not do NTPv5, the pool extensions of NTS-KE, or TLS.
package nts
