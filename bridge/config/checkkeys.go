package config

import (
	"errors"
	"fmt"
	"os"

	"ntsbridge/bridge/access"
	"ntsbridge/symkey"
)

// maxKeyFileLen is far above what 65535 keys take.
const maxKeyFileLen = 64 << 20

// keys loads the symmetric keys as serve does.
func (k *checker) keys() {
	c := &k.config.Keys
	if len(c.Files) == 0 {
		k.noKeyFiles()
		return
	}
	var keys []*symkey.Key
	owner := make(map[uint32]string)
	for i, f := range c.Files {
		path := fmt.Sprintf("keys.files[%d].path", i)
		if !k.secret(path, f.Path) {
			continue
		}
		for _, key := range k.keyFile(path, f) {
			if first, ok := owner[key.ID()]; ok {
				k.find(Warning, path, "key %d of %s is also in %s, which goes before; delete one of the two", key.ID(), f.Path, first)
				continue
			}
			owner[key.ID()] = f.Path
			keys = append(keys, key)
		}
	}
	k.trusted(keys)
}

func (k *checker) noKeyFiles() {
	if k.config.Keys.Generate {
		k.fact("symmetric keys", "one of our own, made on first start")
		return
	}
	k.fact("symmetric keys", "none")
}

// ReadKeyFile reads a key file in the configured format.
func ReadKeyFile(f KeyFile) (*symkey.File, error) {
	info, err := os.Stat(f.Path)
	if err != nil {
		return nil, err
	}
	if info.Size() > maxKeyFileLen {
		return nil, fmt.Errorf("%s has %d octets; is it the right file?", f.Path, info.Size())
	}
	data, err := os.ReadFile(f.Path)
	if err != nil {
		return nil, err
	}
	defer clear(data)
	file, err := parseKeyFile(f, data)
	if err != nil || !f.StrictAddresses {
		return file, err
	}
	for i, key := range file.Keys {
		file.Keys[i] = key.LimitClients()
	}
	return file, nil
}

func parseKeyFile(f KeyFile, data []byte) (*symkey.File, error) {
	switch f.Format {
	case "ntp":
		return symkey.ParseNTPKeys(f.Path, data)
	case "ntpsec":
		return symkey.ParseNTPsecKeys(f.Path, data)
	case "chrony":
		return symkey.ParseChronyKeys(f.Path, data)
	}
	return symkey.ParseAuto(f.Path, data)
}

// TrustedKeys returns keys.trusted as symkey has it.
func (c *Config) TrustedKeys() (symkey.TrustedSet, error) {
	var items []string
	for _, r := range c.Keys.Trusted {
		if r == access.AllKeys {
			return symkey.TrustAll, nil
		}
		items = append(items, r.String())
	}
	return symkey.ParseTrusted(items)
}

func (k *checker) keyFile(path string, f KeyFile) []*symkey.Key {
	file, err := ReadKeyFile(f)
	if file == nil {
		k.find(Failure, path, "%v", err)
		return nil
	}
	for _, found := range file.Findings {
		k.findIn(severityOf(found.Severity), f.Path, found.Line, found.Text)
	}
	if errors.Is(err, symkey.ErrRejected) {
		k.find(Failure, path, "no key of %s is used: a line has an error for which ntpd rejects the whole file; correct it", f.Path)
	} else if err != nil {
		k.find(Failure, path, "%v", err)
	}
	k.fact("key file", "%s, format %v, %d keys", f.Path, file.Format, len(file.Keys))
	return file.Keys
}

func severityOf(s symkey.Severity) Severity {
	if s == symkey.Note {
		return Note
	}
	return Warning
}

// trusted makes the table and compares it with keys.trusted.
func (k *checker) trusted(keys []*symkey.Key) {
	trusted, err := k.config.TrustedKeys()
	if err == nil {
		k.keyTable, err = symkey.NewTable(keys, trusted)
	}
	if err != nil {
		k.find(Failure, "keys.trusted", "%v", err)
		return
	}
	for i, r := range k.config.Keys.Trusted {
		if r != access.AllKeys && !k.anyKey(r) {
			k.find(Warning, fmt.Sprintf("keys.trusted[%d]", i), "no key file has a key %v", r)
		}
	}
	if k.keyTable.Len() == 0 {
		k.find(Warning, "keys.trusted", "no key can be used; name the identifiers that may be used, or [all]")
	}
	k.fact("symmetric keys", "%d trusted, %d in the files that are not", k.keyTable.Len(), len(keys)-k.keyTable.Len())
}
