// Package identity implements the challenge-response identity schemes of
// Autokey, both sides: IFF (Schnorr), GQ (Guillou-Quisquater) and MV
// (Mu-Varadharajan), RFC 5906 appendices B to D as ntpd 4.2.8 speaks them.
//
// It works on integers and DER only. Files are read by autokey/keyfile, the
// messages around the values are made by autokey. The schemes TC and PC have
// no exchange and so no code here.
//
// None of the schemes proves much: in all three the server answers a challenge
// that it has already seen, so whoever knows the group parameters (every
// client does) can answer as well, and an answer can be relayed. They keep
// strangers out, nothing more.
package identity
