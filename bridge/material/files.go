package material

import (
	"errors"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"ntsbridge/bridge/nke"
)

// secret looks at a file that only the daemon should read; ok is false if it
// cannot be used.
func (k *loader) secret(path, name string) (ok bool) {
	info, ok := k.stat(path, name)
	if !ok {
		return false
	}
	if err := nke.CheckSecret(name, info, k.config.ReadableSecrets); err != nil {
		k.find(NotServed, path, "%v, or set readable_secrets", err)
		return false
	}
	switch mode := info.Mode().Perm(); {
	case mode&0o007 != 0:
		k.find(Warning, path, "%s holds a secret and everybody can read or write it (mode %04o); chmod o= it", name, mode)
	case mode&0o020 != 0:
		k.find(Warning, path, "%s holds a secret and its group can write it (mode %04o); chmod g-w it", name, mode)
	}
	k.writable(path, filepath.Dir(name))
	return true
}

// public looks at a file that others may read but not change.
func (k *loader) public(path, name string) (ok bool) {
	if _, ok := k.stat(path, name); !ok {
		return false
	}
	k.writable(path, name)
	return true
}

// stat says of a file that cannot be read why.
func (k *loader) stat(path, name string) (os.FileInfo, bool) {
	info, err := os.Stat(name)
	switch {
	case errors.Is(err, os.ErrNotExist):
		k.find(NotServed, path,
			"%s is not there; correct the name (relative ones start at the directory of the configuration) or make the file", name)
	case err != nil:
		k.find(NotServed, path, "%v", err)
	case !info.Mode().IsRegular():
		k.find(NotServed, path, "%s is not a file", name)
	case unix.Access(name, unix.R_OK) != nil:
		k.find(NotServed, path, "%s cannot be read by this user (%d); let the daemon's user read it (chown, or chgrp and chmod g+r)", name,
			os.Geteuid())
	default:
		return info, true
	}
	return nil, false
}

// writable warns of files and directories that everybody can change.
func (k *loader) writable(path, name string) {
	info, err := os.Stat(name)
	if err == nil && info.Mode().Perm()&0o002 != 0 && info.Mode()&os.ModeSticky == 0 {
		k.find(Warning, path, "%s can be changed by everybody (mode %04o); chmod o-w it", name, info.Mode().Perm())
	}
}
