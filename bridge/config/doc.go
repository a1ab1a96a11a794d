// Package config reads the YAML configuration of ntsbridge into typed structs:
// defaults, ranges, and every error of a file with its line and a remedy. It
// also checks what a configuration names (files, permissions, keys,
// certificates) and says what would be served to whom.
//
// viper reads the file; the YAML nodes give the lines and catch what viper
// would let pass (unknown and duplicate keys, numbers for strings). Secrets
// are never in the file itself, only the names of the files that hold them;
// relative names are taken from the directory of the configuration file.
// There is no merging of several files and no environment variable.
package config
