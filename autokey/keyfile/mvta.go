package keyfile

import (
	"encoding/pem"
	"fmt"
	"io"
	"math/big"

	"ntsbridge/autokey/identity"
)

// EncodeMVGroup returns the file of an MV group's trusted authority,
// ntpkey_MVta_GROUP: one private key for the authority, one for the servers,
// and one for each client. Only Traditional keeps what is in it.
func EncodeMVGroup(rand io.Reader, h Header, g *identity.MVGroup, e Encoding) ([]byte, error) {
	if !e.Traditional {
		return nil, fmt.Errorf("%w: %s", ErrIncomplete, mvExport)
	}
	keys := []*rawKey{{p: g.P, q: g.Q, g: g.G, y: g.B, x: g.A}}
	server, err := rawOf(g.Server)
	if err != nil {
		return nil, err
	}
	keys = append(keys, server)
	for _, c := range g.Clients {
		keys = append(keys, &rawKey{p: c.P, q: one, g: one, y: c.XHat, x: c.XBar})
	}
	var out []byte
	for i, k := range keys {
		file, err := k.encode(rand, h, e)
		if err != nil {
			return nil, err
		}
		if i > 0 {
			file = pem.EncodeToMemory(mustDecode(file))
		}
		out = append(out, file...)
	}
	return out, nil
}

// mustDecode returns the block of a file that was made here.
func mustDecode(file []byte) *pem.Block {
	block, _ := pem.Decode(file)
	return block
}

// ReadMVGroup reads the file of an MV group's trusted authority. The second
// result is the filestamp, NTP seconds. Files of ntp-keygen itself lack the
// public values: ErrIncomplete.
func ReadMVGroup(data []byte, password string) (*identity.MVGroup, uint32, error) {
	c, err := openContainer(data)
	if err != nil {
		return nil, 0, err
	}
	var keys []*rawKey
	for _, block := range c.blocks {
		raw, _, err := readPrivateKey(block, password)
		if err != nil {
			return nil, 0, err
		}
		if err := raw.wantDSA("MV"); err != nil {
			return nil, 0, err
		}
		if raw.y == nil {
			return nil, 0, fmt.Errorf("%w: %s", ErrIncomplete, mvExport)
		}
		keys = append(keys, raw)
	}
	if len(keys) < 2+identity.MinMVKeys {
		return nil, 0, fmt.Errorf("%w: %d keys, the file of an MV trusted authority has one for itself, one for the servers, and "+
			"those of the clients", ErrKeyType, len(keys))
	}
	g, err := mvGroupOf(keys)
	return g, c.filestamp, err
}

func mvGroupOf(keys []*rawKey) (*identity.MVGroup, error) {
	ta := keys[0]
	g := &identity.MVGroup{P: ta.p, Q: ta.q, G: ta.g, A: ta.x, B: ta.y}
	read := func(r *rawKey) *KeyFile { return &KeyFile{raw: r} }
	var err error
	if g.Server, err = read(keys[1]).mvKey(); err != nil {
		return nil, err
	}
	for _, r := range append([]*rawKey{keys[1]}, keys[2:]...) {
		if r.p.Cmp(g.P) != 0 {
			return nil, malformed("keys of different MV groups in one file")
		}
	}
	for _, r := range keys[2:] {
		client, err := read(r).MVParameters()
		if err != nil {
			return nil, err
		}
		g.Clients = append(g.Clients, client)
	}
	if new(big.Int).Exp(g.G, g.Q, g.P).Cmp(one) != 0 {
		return nil, malformed("MV generator is not of the group")
	}
	return g, nil
}
