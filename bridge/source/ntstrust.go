package source

import (
	"crypto/x509"
	"fmt"
	"os"
	"path/filepath"
	"slices"
)

// systemRoots are where distributions keep the trusted certificates in one
// file. They are read here, since package x509 reads them once in the life of
// a process, and authorities come and go.
var systemRoots = []string{
	"/etc/ssl/certs/ca-certificates.crt",                // Debian, Arch
	"/etc/pki/tls/certs/ca-bundle.crt",                  // Fedora
	"/etc/ssl/ca-bundle.pem",                            // SUSE
	"/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem", // RHEL
	"/etc/ssl/cert.pem",                                 // Alpine
}

// trustedRoots reads the trusted certificates; nil means those that package x509
// knows.
func trustedRoots(trusted []string, known *x509.CertPool) (*x509.CertPool, error) {
	if len(trusted) > 0 {
		return ReadTrusted(trusted)
	}
	if known != nil {
		return known, nil
	}
	if os.Getenv("SSL_CERT_FILE") != "" || os.Getenv("SSL_CERT_DIR") != "" {
		return nil, nil // package x509 obeys them
	}
	for _, name := range systemRoots {
		text, err := os.ReadFile(name)
		if err != nil {
			continue
		}
		if pool := x509.NewCertPool(); pool.AppendCertsFromPEM(text) {
			return pool, nil
		}
	}
	return nil, nil
}

// systemTrust stands for the certificates that the system trusts among paths.
const systemTrust = "system"

// ReadTrusted reads PEM files, and all files of directories; systemTrust stands
// for those of the system.
func ReadTrusted(paths []string) (*x509.CertPool, error) {
	pool := x509.NewCertPool()
	if slices.Contains(paths, systemTrust) {
		system, err := trustedRoots(nil, nil)
		if err == nil && system == nil {
			system, err = x509.SystemCertPool()
		}
		if err != nil {
			return nil, fmt.Errorf("trusted certificates: %s: %w", systemTrust, err)
		}
		pool = system
	}
	for _, path := range paths {
		if path == systemTrust {
			continue
		}
		found, err := addTrusted(pool, path)
		if err != nil {
			return nil, fmt.Errorf("trusted certificates: %w", err)
		}
		if !found {
			return nil, fmt.Errorf("trusted certificates: %s: no certificate in it; it must be PEM", path)
		}
	}
	return pool, nil
}

func addTrusted(pool *x509.CertPool, path string) (found bool, err error) {
	info, err := os.Stat(path)
	if err != nil {
		return false, err
	}
	if !info.IsDir() {
		text, err := os.ReadFile(path)
		return pool.AppendCertsFromPEM(text), err
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		return false, err
	}
	for _, e := range entries {
		name := filepath.Join(path, e.Name())
		info, err := os.Stat(name) // links are usual here, also dead ones
		if err != nil || info.IsDir() {
			continue
		}
		text, err := os.ReadFile(name)
		if err != nil {
			return false, err
		}
		found = pool.AppendCertsFromPEM(text) || found
	}
	return found, nil
}
