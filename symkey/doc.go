// Package symkey is NTP's symmetric-key authentication: MAC algorithms, an
// immutable table of keys, and the key files of ntpd, ntpsec and chronyd.
//
// The MAC is the key identifier and either digest(key || packet), as every
// ntpd since NTPv3 and chronyd compute it (RFC 5905, section 7.3 and appendix
// A.6 name MD5 only), or AES-CMAC (RFC 4493, RFC 8573). Digests longer than 20
// octets are cut to 20 where RFC 7822, section 7.5 leaves no more room.
//
// The file formats follow ntpd 4.2.8p15, ntpsec 1.2.3 and chronyd 4.6.1 as
// they behave, with their traps; each trap that a file steps into is reported
// as a Finding. Autokey's session keys are not in here, and neither is the
// decision who may use which kind of authentication.
//
// Pure: no sockets, no clock, no files, no logging. Secrets leave a Key only
// through the functions that write key files.
package symkey
