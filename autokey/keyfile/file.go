package keyfile

import (
	"bytes"
	"encoding/pem"
	"fmt"
	"io"
	"io/fs"
	"strconv"
	"strings"
)

// maxFile is the longest key file read, octets.
const maxFile = 65536

// maxFirstLine is the longest first line that ntpd reads, octets.
const maxFirstLine = 255

// container is a file taken apart: the filestamp of its first line and its PEM
// blocks.
type container struct {
	filestamp uint32
	blocks    []*pem.Block
}

// openContainer takes a file apart. The number behind the last dot of line 1
// is the filestamp, as ntpd reads it; the name of the file does not matter.
func openContainer(data []byte) (*container, error) {
	if len(data) > maxFile {
		return nil, unsupported("%d octets, at most %d", len(data), maxFile)
	}
	line, rest, _ := bytes.Cut(data, []byte("\n"))
	stamp, err := filestamp(string(line))
	if err != nil {
		return nil, err
	}
	c := &container{filestamp: stamp}
	for {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		c.blocks = append(c.blocks, block)
	}
	if len(c.blocks) == 0 {
		if bytes.Contains(data, []byte("-----BEGIN ")) {
			return nil, malformed("PEM block truncated or damaged; copy the file again")
		}
		return nil, malformed("no PEM block")
	}
	return c, nil
}

// filestamp returns the number behind the last dot of line 1.
func filestamp(line string) (uint32, error) {
	if len(line) > maxFirstLine {
		line = line[:maxFirstLine]
	}
	dot := strings.LastIndexByte(line, '.')
	if dot < 0 {
		return 0, malformed("line 1 has no filestamp; ntp-keygen writes \"# ntpkey_TYPE_NAME.FILESTAMP\"")
	}
	digits := strings.TrimLeft(line[dot+1:], " \t")
	end := 0
	for end < len(digits) && digits[end] >= '0' && digits[end] <= '9' {
		end++
	}
	stamp, err := strconv.ParseUint(digits[:end], 10, 32)
	if err != nil {
		return 0, malformed("line 1 has no number below 2^32 behind its last dot; ntp-keygen writes \"# ntpkey_TYPE_NAME.FILESTAMP\"")
	}
	return uint32(stamp), nil
}

// readFile reads a regular file of a key directory; links are followed by
// fsys. A missing file gives an error that is fs.ErrNotExist.
func readFile(fsys fs.FS, name string) ([]byte, error) {
	if !fs.ValidPath(name) || strings.Contains(name, "/") {
		return nil, fmt.Errorf("%w: not a plain file name", fs.ErrInvalid)
	}
	info, err := fs.Stat(fsys, name)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, malformed("not a regular file")
	}
	f, err := fsys.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, err
	}
	if isLinkText(data) {
		return nil, malformed("holds only the name of another file: a symbolic link was copied as text; make it a link again")
	}
	return data, nil
}

// isLinkText recognises a symbolic link that an archive or copy turned into a
// text file.
func isLinkText(data []byte) bool {
	text := strings.TrimSpace(string(data[:min(len(data), 512)]))
	return len(data) <= maxFirstLine && strings.HasPrefix(text, "ntpkey_") && !strings.ContainsAny(text, "\n# ")
}

// KeyFile is a private key file after decryption. What its numbers mean is not
// written in it: the methods read it as one or the other kind of key.
type KeyFile struct {
	Filestamp uint32 // NTP seconds
	Encrypted bool   // a password was needed
	PKCS8     bool   // PKCS #8, not traditional PEM
	raw       *rawKey
}

// Format implements fmt.Formatter; it never prints a value.
func (f KeyFile) Format(s fmt.State, _ rune) { fmt.Fprintf(s, "key file %d", f.Filestamp) }

// ReadKey reads a file with a private key: the first such PEM block in it. The
// error is ErrFormat, ErrPassword, ErrKeyType or ErrUnsupported.
func ReadKey(data []byte, password string) (*KeyFile, error) {
	c, err := openContainer(data)
	if err != nil {
		return nil, err
	}
	for _, block := range c.blocks {
		if !isPrivateKey(block) {
			continue
		}
		raw, encrypted, err := readPrivateKey(block, password)
		if err != nil {
			return nil, err
		}
		pkcs8 := block.Type == typePKCS8 || block.Type == typeEncryptedPKCS8
		return &KeyFile{c.filestamp, encrypted, pkcs8, raw}, nil
	}
	return nil, fmt.Errorf("%w: no private key, but %q", ErrKeyType, clip(c.blocks[0].Type))
}

// ReadCertificate reads a certificate file: the first PEM block, which must be
// a certificate. The second result is the filestamp, NTP seconds.
func ReadCertificate(data []byte) (*Certificate, uint32, error) {
	c, err := openContainer(data)
	if err != nil {
		return nil, 0, err
	}
	if t := c.blocks[0].Type; t != "CERTIFICATE" {
		return nil, 0, fmt.Errorf("%w: the first PEM block is %q, not CERTIFICATE", ErrKeyType, clip(t))
	}
	cert, err := ParseCertificate(c.blocks[0].Bytes)
	return cert, c.filestamp, err
}
