// Package control is how a person or a program looks into the running daemon:
// a local API over a Unix socket (HTTP with JSON), which the other commands
// use. It changes nothing. ntpq, chronyc and metrics have their place here.
package control
