// Package remote lets other hosts use the API of the control socket: over
// HTTPS (TLS 1.3), for who shows a token of a file or a certificate of an
// authority, with the role that they have. It knows nothing of what is asked:
// the handler that it protects tells which role a request needs.
//
// Tokens are kept as SHA-256 of 256 random bits, which cannot be guessed, so
// that whoever knows one is let in at any rate of failures from its address:
// only those who fail are limited, and what they do to the log.
package remote
