// Package keydir writes into a directory of Autokey key files as ntp-keygen
// does: files with a filestamp in their names, and symbolic links of fixed names
// to them; but all of a run or nothing, each file and link in one step, and
// private files for as few readers as possible.
//
// It does not know what is in the files (autokey/keyfile).
package keydir

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"ntsbridge/bridge/statedir"
)

// maxFile is the longest key file read, octets.
const maxFile = 65536

// Modes of new files. ntp-keygen makes all of them 0640. Where nobody arranged
// for a group to read them, private files are for their owner only.
const (
	publicFile = 0o644
	groupFile  = 0o640
)

// Dir is a key directory. What is put into it is kept back until Commit, so
// that a run that fails changes nothing.
type Dir struct {
	path    string
	pending []File
}

// File is a file to be written.
type File struct {
	Name    string
	Link    string // symbolic link to it, replaced if it is there; empty: none
	Content []byte
	Secret  bool // not for everybody
}

// New returns the directory at path. It is not looked at before Writable.
func New(path string) *Dir { return &Dir{path: path} }

// Read reads a file of the directory, through links.
func (d *Dir) Read(name string) ([]byte, error) { return ReadFile(filepath.Join(d.path, name)) }

// ReadFile reads a regular file of at most 65536 octets.
func ReadFile(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s: not a regular file", name)
	}
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, err
	}
	if len(data) > maxFile {
		return nil, fmt.Errorf("%s: larger than %d octets, no key file", name, maxFile)
	}
	return data, nil
}

// Target returns what a link points to, or the name itself.
func (d *Dir) Target(name string) string {
	if target, err := os.Readlink(filepath.Join(d.path, name)); err == nil {
		return target
	}
	return name
}

// Writable returns an error if nothing can be written, before anything is made
// that takes long.
func (d *Dir) Writable() error {
	info, err := os.Stat(d.path)
	if err != nil {
		return err
	}
	if !info.IsDir() {
		return fmt.Errorf("%s is not a directory", d.path)
	}
	if err := unix.Access(d.path, unix.W_OK|unix.X_OK); err != nil {
		return fmt.Errorf("cannot write to %s: %w", d.path, err)
	}
	return nil
}

// Put keeps a file back for Commit.
func (d *Dir) Put(f File) { d.pending = append(d.pending, f) }

// Commit writes all files, then sets all links, each in one step. It returns
// what it wrote.
func (d *Dir) Commit() ([]File, error) {
	for _, f := range d.pending {
		if !plainName(f.Name) || f.Link != "" && (!plainName(f.Link) || f.Link == f.Name) {
			return nil, fmt.Errorf("cannot write %q with the link %q: these must be two names of files in %s", f.Name, f.Link, d.path)
		}
	}
	for _, f := range d.pending {
		if err := d.write(f); err != nil {
			return nil, err
		}
	}
	for _, f := range d.pending {
		if f.Link == "" {
			continue
		}
		if err := replaceLink(f.Name, filepath.Join(d.path, f.Link)); err != nil {
			return nil, err
		}
	}
	written := d.pending
	d.pending = nil
	return written, nil
}

// plainName reports whether a name is one of a file in a directory.
func plainName(name string) bool {
	return name != "" && name != "." && name != ".." && !strings.ContainsAny(name, "/\x00")
}

// write writes one file with its mode and group.
func (d *Dir) write(f File) error {
	path := filepath.Join(d.path, f.Name)
	if !f.Secret {
		return statedir.Write(path, f.Content, publicFile)
	}
	mode, gid := d.access(f)
	if err := statedir.Write(path, f.Content, mode); err != nil {
		return err
	}
	if mode == statedir.Secret || gid < 0 {
		return nil
	}
	// Who is not allowed to give the file to the group gets one that only its
	// owner can read.
	if err := os.Chown(path, -1, gid); err != nil {
		return os.Chmod(path, statedir.Secret)
	}
	return nil
}

// access decides who may read a private file: the owner; and a group if the
// file that it replaces was for the group, or the directory hands its group on
// (set-group-ID), which is how an ntpd that runs as its own user gets at keys.
func (d *Dir) access(f File) (mode fs.FileMode, gid int) {
	for _, old := range []string{f.Link, f.Name} {
		if old == "" {
			continue
		}
		info, err := os.Stat(filepath.Join(d.path, old))
		if err != nil || !info.Mode().IsRegular() {
			continue
		}
		if info.Mode()&0o040 != 0 {
			return groupFile, groupOf(info)
		}
		return statedir.Secret, -1
	}
	info, err := os.Stat(d.path)
	if err == nil && info.Mode()&fs.ModeSetgid != 0 {
		return groupFile, groupOf(info)
	}
	return statedir.Secret, -1
}

func groupOf(info fs.FileInfo) int {
	if s, ok := info.Sys().(*syscall.Stat_t); ok {
		return int(s.Gid)
	}
	return -1
}

// replaceLink makes path a symbolic link to target, in one step.
func replaceLink(target, path string) error {
	if info, err := os.Lstat(path); err == nil && info.IsDir() {
		return fmt.Errorf("link %s: there is a directory of this name", path)
	}
	for number := range 100 {
		tmp := filepath.Join(filepath.Dir(path), fmt.Sprintf(".%s.%d.%d", filepath.Base(path), os.Getpid(), number))
		err := os.Symlink(target, tmp)
		if errors.Is(err, fs.ErrExist) {
			continue
		}
		if err != nil {
			return err
		}
		if err := os.Rename(tmp, path); err != nil {
			_ = os.Remove(tmp)
			return err
		}
		return syncDirectory(filepath.Dir(path))
	}
	return fmt.Errorf("link %s: no free temporary name", path)
}

func syncDirectory(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

// Replace writes a file whole or not at all, through a link, for the readers
// that the file there has; without one for the owner only.
func Replace(path string, content []byte) error {
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real
	}
	info, err := os.Stat(path)
	if err != nil {
		return statedir.Write(path, content, statedir.Secret)
	}
	if err := statedir.Write(path, content, info.Mode().Perm()); err != nil {
		return err
	}
	if gid := groupOf(info); gid >= 0 && info.Mode()&0o040 != 0 {
		if err := os.Chown(path, -1, gid); err != nil {
			return os.Chmod(path, statedir.Secret)
		}
	}
	return nil
}
