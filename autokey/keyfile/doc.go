// Package keyfile reads and writes the ntpkey_* files of ntp-keygen 4.2.8 and
// older: host and sign keys, identity keys and parameters, certificates. It
// also does the public-key operations of Autokey with them: signatures,
// the cookie's encryption, and certificates on request (RFC 5906 as ntpd
// 4.2.8 does it).
//
// Read are PKCS #8 (plain; PBES2, PBES1 and PKCS #12 encryption) and the
// traditional PEM of OpenSSL (plain and with DEK-Info), with RSA keys of any
// size from 256 bits, DSA keys, and the identity keys that ntp-keygen hides in
// RSA and DSA structures.
//
// The package works on bytes and on fs.FS. It knows nothing of messages or
// associations (autokey), nor of the identity exchanges (autokey/identity).
// It makes no keys, and it does not judge who may read a file.
package keyfile
