// Package nke is the TLS shell around NTS Key Establishment (RFC 8915,
// sections 3 and 4): the TCP listener, its limits, and the certificates with
// their reload. What is said on a connection is decided by package nts.
//
// TLS 1.3 only, ALPN ntske/1 required, no session tickets, no client
// certificates. One request and one response per connection.
package nke
