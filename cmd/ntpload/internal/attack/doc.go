//go:build linux

// Package attack floods a server in a namespace and asks it meanwhile, as
// legitimate clients of every kind do. What it prints is the share of them that
// was answered under each flood.
//
// Floods are bounded in rate and time. Forged addresses are real: the sockets
// that flood are bound to the address of the client that they hurt.
package attack
