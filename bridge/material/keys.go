package material

import (
	"errors"
	"fmt"
	"io"
	"os"

	"ntsbridge/bridge/access"
	"ntsbridge/bridge/config"
	"ntsbridge/symkey"
)

// maxKeyFileLen is far above what 65535 keys take.
const maxKeyFileLen = 64 << 20

// keys loads the table of symmetric keys. A file that cannot be used is its
// own failure.
func (k *loader) keys() {
	c := &k.config.Keys
	trusted, err := k.config.TrustedKeys()
	if err != nil {
		k.find(NoStart, "keys.trusted", "%v", err)
		return
	}
	var keys []*symkey.Key
	switch {
	case len(c.Files) > 0:
		keys = k.keyFiles()
	case c.Generate:
		// The file is ours: every key in it may be used.
		trusted = symkey.TrustAll
		if keys, k.Made.Key, err = generatedKeys(k.Store, GeneratedKeyFile(k.config)); err != nil {
			k.find(NoStart, "keys.generate", "%v", err)
		}
		k.madeLater(k.Made.Key, "keys.generate", GeneratedKeyFile(k.config))
		k.fact("symmetric keys", "one of our own, made on first start")
	default:
		k.fact("symmetric keys", "none")
	}
	if k.Keys, err = symkey.NewTable(keys, trusted); err != nil {
		k.find(NoStart, "keys.files", "%v", err)
		return
	}
	if len(c.Files) > 0 {
		k.trusted(len(keys))
	}
	if c.Control != 0 && k.Keys.Lookup(uint32(c.Control)) == nil {
		k.find(Warning, "keys.control", "there is no trusted key %d: nobody can ask for ntpq's ifstats and reslist; "+
			"name a key of keys.trusted, or delete the line", c.Control)
	}
}

// madeLater notes that a file of value is made on the first start.
func (k *loader) madeLater(made bool, path, file string) {
	if made {
		k.find(Note, path, "%s is not there; it will be made on first start", file)
	}
}

// keyFiles reads the files; of two keys with one identifier the first counts.
func (k *loader) keyFiles() (keys []*symkey.Key) {
	owner := make(map[uint32]string)
	for i, f := range k.config.Keys.Files {
		path := fmt.Sprintf("keys.files[%d].path", i)
		if !k.secret(path, f.Path) {
			continue
		}
		for _, key := range k.fipsKeys(path, k.keyFile(path, f)) {
			if first, ok := owner[key.ID()]; ok {
				k.find(Warning, path, "key %d of %s is also in %s, which goes before; delete one of the two", key.ID(), f.Path, first)
				continue
			}
			owner[key.ID()] = f.Path
			keys = append(keys, key)
		}
	}
	return keys
}

func (k *loader) keyFile(path string, f config.KeyFile) []*symkey.Key {
	file, err := ReadKeyFile(f)
	if file == nil {
		k.find(NotServed, path, "%v", err)
		return nil
	}
	for _, found := range file.Findings {
		k.findIn(gradeOf(found.Severity), f.Path, found.Line, found.Text)
	}
	if errors.Is(err, symkey.ErrRejected) {
		k.find(NotServed, path, "no key of %s is used: a line has an error for which ntpd rejects the whole file; correct it", f.Path)
		return nil
	} else if err != nil {
		k.find(NotServed, path, "%v", err)
		return nil
	}
	k.fact("key file", "%s, format %v, %d keys", f.Path, file.Format, len(file.Keys))
	return file.Keys
}

// ReadKeyFile reads a key file in the configured format.
func ReadKeyFile(f config.KeyFile) (*symkey.File, error) {
	data, err := readFile(f.Path, maxKeyFileLen)
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

func parseKeyFile(f config.KeyFile, data []byte) (*symkey.File, error) {
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

// readFile reads a file of at most so many octets.
func readFile(path string, most int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, most+1))
	if err == nil && int64(len(data)) > most {
		return nil, fmt.Errorf("%s is larger than %d octets; is it the right file?", path, most)
	}
	return data, err
}

func gradeOf(s symkey.Severity) Grade {
	if s == symkey.Note {
		return Note
	}
	return Warning
}

// trusted compares keys.trusted with the keys that were found.
func (k *loader) trusted(found int) {
	for i, r := range k.config.Keys.Trusted {
		if r != access.AllKeys && !k.anyKey(r) {
			k.find(Warning, fmt.Sprintf("keys.trusted[%d]", i), "no key file has a key %v", r)
		}
	}
	if k.Keys.Len() == 0 {
		k.find(Warning, "keys.trusted", "no key can be used; name the identifiers that may be used, or [all]")
	}
	k.fact("symmetric keys", "%d trusted, %d in the files that are not", k.Keys.Len(), found-k.Keys.Len())
}

func (k *loader) anyKey(r access.KeyRange) bool {
	for key := range k.Keys.All() {
		if r.Low <= key.ID() && key.ID() <= r.High {
			return true
		}
	}
	return false
}
