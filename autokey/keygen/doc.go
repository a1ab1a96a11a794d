// Package keygen makes the files of an Autokey host as ntp-keygen 4.2.8p15
// does, from the same options: keys, certificates, identity groups and
// ntp.keys, under the same names and with the same links. It differs where
// the files of ntp-keygen cannot work (see autokey/keyfile).
//
// The package is pure: Make turns options and the files that are there into a
// Plan of files to be written. ParseArgs, Load and Environment read options by
// the rules of ntp-keygen.
package keygen
