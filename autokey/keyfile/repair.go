package keyfile

import (
	"errors"
	"fmt"
	"io"
	"time"
)

// ErrNothingToRepair says that a file works as it is.
var ErrNothingToRepair = errors.New("nothing to repair")

// RepairOptions go with Repair.
type RepairOptions struct {
	Password string // opens the file; if that was encrypted, the new one is too
	// Server is the server's key of the same group, needed where a group file
	// lacks the public value; nil if there is none.
	Server *KeyFile
	// Group makes a group file for clients of a server's key, whatever line 1
	// says.
	Group bool
	Now   time.Time // for line 2, in the zone that it shall show
}

// Format implements fmt.Formatter; it never prints the password.
func (o RepairOptions) Format(s fmt.State, _ rune) { fmt.Fprintf(s, "repair to group %t", o.Group) }

// Repair remakes an identity file that ntp-keygen wrote so that ntpd 4.2.8p15
// cannot use it, under the same filestamp. It returns the new content and what
// was done in words.
//
// The error is ErrNothingToRepair if the file is good, ErrIncomplete if values
// are missing that nothing here can give, ErrKeyType if it is not an identity
// file, or one of ReadKey.
func Repair(rand io.Reader, data []byte, opt RepairOptions) (content []byte, done string, err error) {
	c, err := openContainer(data)
	if err != nil {
		return nil, "", err
	}
	f, err := ReadKey(data, opt.Password)
	if err != nil {
		return nil, "", err
	}
	keys, err := c.privateKeys(opt.Password)
	if err != nil {
		return nil, "", err
	}
	l := readLabel(data)
	r := &repairer{rand: rand, opt: opt, file: f, label: l, kind: kindOf(l, keys)}
	if l.name == "" {
		r.label.name = "ntpkey_identity"
	}
	switch r.kind {
	case KindIFFKey, KindIFFGroup:
		return r.iff()
	case KindGQKey, KindGQGroup:
		return r.gq()
	case KindMVKey, KindMVGroup, KindMVAuthority:
		return r.mv(keys)
	}
	return nil, "", fmt.Errorf("%w: a %s, not an identity file; `keygen renew` is for those", ErrKeyType, r.kind)
}

// privateKeys reads all private keys of a file.
func (c *container) privateKeys(password string) ([]*rawKey, error) {
	var keys []*rawKey
	for _, block := range c.blocks {
		if !isPrivateKey(block) {
			continue
		}
		raw, _, err := readPrivateKey(block, password)
		if err != nil {
			return nil, err
		}
		keys = append(keys, raw)
	}
	return keys, nil
}

// repairer is the state of one Repair.
type repairer struct {
	rand  io.Reader
	opt   RepairOptions
	file  *KeyFile
	label label
	kind  Kind
}

func (r *repairer) header() Header {
	return Header{Name: r.label.name, Filestamp: r.file.Filestamp, Made: r.opt.Now}
}

// toGroup reports whether the result is for clients.
func (r *repairer) toGroup() bool {
	return r.opt.Group || r.label.forClients() || r.kind == KindIFFGroup || r.kind == KindGQGroup
}

func (r *repairer) group(parameters any, done string) ([]byte, string, error) {
	content, err := EncodeGroup(r.header(), parameters)
	return content, done, err
}

// server writes a server's key again, encrypted if it was.
func (r *repairer) server(key any, done string) ([]byte, string, error) {
	e := Encoding{Traditional: true}
	if r.file.Encrypted {
		e.Cipher, e.Password = DefaultCipher, r.opt.Password
	}
	content, err := EncodeKey(r.rand, r.header(), key, e)
	return content, done, err
}

func (r *repairer) iff() ([]byte, string, error) {
	if !r.toGroup() {
		return nil, "", fmt.Errorf("%w: an IFF server key is good in every form", ErrNothingToRepair)
	}
	raw := r.file.raw
	p, err := r.file.IFFParameters()
	if errors.Is(err, ErrIncomplete) {
		return r.iffFromServer()
	}
	if err != nil {
		return nil, "", err
	}
	if raw.y != nil && raw.y.Cmp(p.V) == 0 && raw.x.Cmp(one) == 0 && !r.file.Encrypted {
		return nil, "", ErrNothingToRepair
	}
	return r.group(p, "made an IFF group file with the public value v, without the secret, in the clear")
}

// iffFromServer takes the public value from the server's key.
func (r *repairer) iffFromServer() ([]byte, string, error) {
	if r.opt.Server == nil {
		return nil, "", fmt.Errorf("%w: the public value v, which only the server's IFF key gives; name it with --server-key",
			ErrIncomplete)
	}
	key, err := r.opt.Server.IFFKey()
	if err != nil {
		return nil, "", fmt.Errorf("server key: %w", err)
	}
	raw := r.file.raw
	if key.P.Cmp(raw.p) != 0 || key.Q.Cmp(raw.q) != 0 || key.G.Cmp(raw.g) != 0 {
		return nil, "", fmt.Errorf("%w: the server key is of another IFF group", ErrKeyType)
	}
	if r.opt.Server.Filestamp != r.file.Filestamp {
		return nil, "", fmt.Errorf("%w: the server key has filestamp %d, the group file %d; ntpd wants them equal, so export the "+
			"group file again",
			ErrKeyType, r.opt.Server.Filestamp, r.file.Filestamp)
	}
	return r.group(key.Parameters(), "made the IFF group file again, with the public value v from the server's key")
}

func (r *repairer) gq() ([]byte, string, error) {
	v := r.file.raw.rsa
	e, d := v[1], v[2]
	if r.toGroup() {
		p, err := r.file.gqParameters()
		if err != nil {
			return nil, "", err
		}
		if r.kind == KindGQGroup && e.Cmp(p.B) == 0 && d.Cmp(p.B) == 0 && !r.file.Encrypted {
			return nil, "", ErrNothingToRepair
		}
		return r.group(p, "made a GQ group file with b where ntpd 4.2.8p15 and older ones look for it")
	}
	key, err := r.file.GQKey()
	if err != nil {
		return nil, "", err
	}
	if e.Cmp(key.U) == 0 && d.Cmp(key.B) == 0 {
		return nil, "", ErrNothingToRepair
	}
	return r.server(key, "rearranged the GQ server key: u and b are where ntpd 4.2.8p15 looks for them")
}

// mv can only say what is wrong, or put a client's key into the clear.
func (r *repairer) mv(keys []*rawKey) ([]byte, string, error) {
	for _, k := range keys {
		if k.y == nil {
			return nil, "", fmt.Errorf("%w: %s; or make the group anew (-V)", ErrIncomplete, mvExport)
		}
	}
	if r.kind != KindMVGroup || !r.file.Encrypted {
		return nil, "", ErrNothingToRepair
	}
	p, err := r.file.MVParameters()
	if err != nil {
		return nil, "", err
	}
	return r.group(p, "wrote the MV client key in the clear")
}
