// Package material loads everything that a configuration names - key files,
// Autokey key sets and group files, certificates, what sources trust, tables of
// leap seconds, the secrets of the state directory - into values, and says what
// it found. The configuration file itself is read here too, by viper: a
// directory conf.d beside it, variables of the environment and flags go over it.
//
// A start, a reload and check load by the same Load, so that what check says is
// what happens. Findings have three grades: serve would not start; serve starts,
// and this is not served; works, but. One source, certificate or key set that is
// broken is its own failure, with its error beside where its values would be.
//
// Load changes nothing: what a first start makes is in memory until the Store
// is committed. Trial asks the machine what a start needs of it: addresses,
// capabilities, directories.
package material
