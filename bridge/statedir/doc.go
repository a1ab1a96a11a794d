// Package statedir keeps what must survive a restart of the daemon: the
// secrets that it makes at its first start (cookie secret, Autokey seed, a
// symmetric key, the key of its own certificate), and the marker that says that
// there was a first start. It has the one writer of files that appear whole or
// not at all.
//
// A Store is opened, asked for its files, and then committed or dropped: only
// Commit writes. So check asks for the same files in the same way as serve and
// leaves no trace.
//
// A missing file is made anew only if no earlier start made or read it. Later,
// a running daemon has the contents in memory and writes them back, and a
// start refuses to go on without: a new seed or secret in silence would cut off
// every client of the old one.
package statedir
