// Package config is the configuration of ntsbridge: typed structs with
// defaults, ranges, and every error of a text with its line and a remedy. It is
// pure: it takes the texts of files, variables and flags as bytes, and what the
// machine is like as an Environment; package material reads them, and loads what
// they name.
//
// A text is read along the types of Config into a Tree. The YAML nodes give the
// lines and catch what the decoder would let pass (unknown and duplicate keys,
// numbers for strings). Assemble makes a Config of the values of one or several
// trees. Secrets are never in the texts themselves, only the names of the files
// that hold them; relative names are taken from the directory of the text.
package config
