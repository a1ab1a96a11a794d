// Package nke is the TLS shell around NTS Key Establishment (RFC 8915,
// sections 3 and 4): the TCP listener, its limits, and the certificates with
// their reload. What is said on a connection is decided by package nts.
//
// TLS 1.3 only, ALPN ntske/1 required, no session tickets, no client
// certificates. One request and one response per connection.
//
// Connections are cheap for who opens them. When all are taken the oldest
// unfinished one of the largest network makes room for a newcomer, a small
// share is kept for networks that completed an exchange before, and under
// pressure silence ends after a second. So 2,000 silent connections from 256
// addresses deny nobody an exchange. One that says nothing at all is left to
// the kernel for a second (TCP_DEFER_ACCEPT).
package nke
