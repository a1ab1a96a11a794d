// Package signd asks Samba to sign answers for the members of an Active
// Directory domain (MS-SNTP), as ntpd's restrict mssntp and chronyd's
// ntpsigndsocket do.
//
// Samba's domain controller listens on the Unix socket ntp_signd/socket and
// keeps the accounts' secrets to itself: it gets an answer of 48 octets and
// the account's relative identifier, and gives the answer back with the
// identifier and 16 octets of MD5 behind it. Both ways a length goes before
// each message, and numbers are big-endian but for the identifier.
//
// Seen of samba 4.17.12, where it differs from what one would expect:
//   - a request's number is 16 bits and comes back in the low half of 32, so
//     that 1 comes back as 0: it tells nothing;
//   - an account that is not there gets the code for a failure; one that is not
//     a machine's or a domain's, or is disabled, gets the connection closed;
//   - the bit for an account's former secret changes nothing in the signature;
//   - several requests may use one connection, one after the other.
package signd
