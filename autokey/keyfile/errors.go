package keyfile

import (
	"errors"
	"fmt"
)

// Errors of this package, one for each class that a caller treats differently.
var (
	// ErrPassword says that a file is encrypted and the password does not open
	// it, or there is none.
	ErrPassword = errors.New("wrong or missing password")
	// ErrFormat says that a file or value is not what it should be: truncated,
	// damaged, or with something behind it.
	ErrFormat = errors.New("malformed")
	// ErrKeyType says that a file holds another kind of key than is wanted.
	ErrKeyType = errors.New("wrong type of key")
	// ErrUnsupported says that a file is well formed, but uses an algorithm
	// that is not known or goes beyond a limit.
	ErrUnsupported = errors.New("not supported")
	// ErrIncomplete says that an identity file lacks values that its form
	// cannot hold, so that nothing can be done with it.
	ErrIncomplete = errors.New("values are missing")
	// ErrAlgorithm says that a signature algorithm does not go with the key, or
	// is refused by the policy.
	ErrAlgorithm = errors.New("signature algorithm refused")
	// ErrSignature says that a signature does not verify.
	ErrSignature = errors.New("signature does not verify")
	// ErrCookie says that an encrypted cookie cannot be decrypted.
	ErrCookie = errors.New("cookie does not decrypt")
	// ErrCertificate says that a host certificate cannot be used.
	ErrCertificate = errors.New("unusable certificate")
)

// FileError is an error that belongs to a file of a key directory. Its text
// names the file and what to do.
type FileError struct {
	File string
	Err  error
}

// Error implements error.
func (e *FileError) Error() string { return "key file " + e.File + ": " + e.Err.Error() }

// Unwrap returns the error without the file.
func (e *FileError) Unwrap() error { return e.Err }

// inFile adds the file's name to an error.
func inFile(name string, err error) error {
	if err == nil {
		return nil
	}
	return &FileError{name, err}
}

func malformed(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrFormat, fmt.Sprintf(format, args...))
}

func unsupported(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrUnsupported, fmt.Sprintf(format, args...))
}
