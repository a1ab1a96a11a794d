package site

import (
	"context"
	"crypto/ecdh"
	"encoding/json"
	"fmt"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// sealContext is what a text for a gateway belongs to.
func (s *Site) sealContext(generation uint64, from, to string) string {
	return fmt.Sprintf("ntsbridge site secrets v1\x00%s\x00%d\x00%s\x00%s", s.opt.Etcd.Prefix, generation, from, to)
}

// secretsInterval is how often the files are looked at, and what failed is tried
// again.
const secretsInterval = 2 * time.Second

// handOut takes the secrets of the site, or tells those of this gateway: when
// there are none yet, when its files were changed, and when etcd has lost them.
func (n *session) handOut(ctx context.Context) error {
	s := n.site
	if s.opt.Secrets == nil || time.Since(n.handed) < secretsInterval {
		return nil
	}
	n.handed = time.Now()
	s.mu.Lock()
	have, there, revision := s.kept.Secrets, s.secrets, n.seen[keySecrets]
	s.mu.Unlock()
	own, err := s.opt.Secrets.Read()
	if err == nil && there.Generation > have {
		return n.adopt(&there, have == 0)
	}
	if err != nil {
		s.secretProblem(fmt.Errorf("the secrets of this gateway cannot be read: %w", err))
		return nil
	}
	if there.Generation == have && there.Generation > 0 {
		last, err := s.open(&there)
		if err == nil && s.opt.Secrets.Same(own, last) && s.toAll(&there) {
			s.secretProblem(nil)
			return nil
		} // what nobody can open, since a key was changed, is sealed anew
	}
	return n.tellSecrets(ctx, own, max(have, there.Generation)+1, revision)
}

// toAll tells whether every declared gateway, with the key that is declared, has
// been sealed to: one that joined later, or has another key now, has not.
func (s *Site) toAll(d *sealed) bool {
	for _, g := range s.opt.Etcd.Gateways {
		if d.To[g.Name] == nil || d.Keys[g.Name] != g.Key {
			return false
		}
	}
	return true
}

// open opens what is sealed to this gateway.
func (s *Site) open(d *sealed) (b Bundle, err error) {
	box := d.To[s.opt.Etcd.Name]
	if box == nil {
		return b, fmt.Errorf("the secrets of the site are not sealed to this gateway: add it to fleet.etcd.gateways, with its key, on %s", d.From)
	}
	from, err := s.keyOf(d.From)
	if err != nil {
		return b, err
	}
	text, err := unseal(s.opt.Secrets.Key, from, s.sealContext(d.Generation, d.From, s.opt.Etcd.Name), box)
	if err != nil {
		return b, fmt.Errorf("the secrets of the site, from %s: %w", d.From, err)
	}
	return b, json.Unmarshal(text, &b)
}

// keyOf is the key that the configuration has of a gateway. What etcd says of
// keys is not believed: whoever can write there would be sealed to.
func (s *Site) keyOf(name string) (*ecdh.PublicKey, error) {
	for _, g := range s.opt.Etcd.Gateways {
		if g.Name == name {
			k, err := ParseKey(g.Key)
			if err != nil {
				return nil, fmt.Errorf("fleet.etcd.gateways: the key of %s: %w", name, err)
			}
			return k, nil
		}
	}
	return nil, fmt.Errorf("fleet.etcd.gateways has no %.60q, which sealed the secrets of the site", name)
}

func (n *session) adopt(d *sealed, first bool) error {
	s := n.site
	b, err := s.open(d)
	if err == nil {
		err = s.opt.Secrets.Adopt(b, first)
	}
	if s.secretProblem(err); err != nil {
		return nil // its own failure; it is tried again
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.kept.Secrets = d.Generation
	s.keep()
	s.opt.Log.Info("site: the secrets of the site are in force", "generation", d.Generation, "from", d.From)
	return nil
}

func (n *session) tellSecrets(ctx context.Context, own Bundle, generation uint64, revision int64) error {
	s := n.site
	text, err := json.Marshal(own)
	if err != nil {
		return nil
	}
	d := sealed{Generation: generation, From: s.opt.Etcd.Name, Time: s.opt.Now().UTC(), To: map[string][]byte{},
		Keys: map[string]string{}}
	for _, g := range s.opt.Etcd.Gateways {
		to, err := s.keyOf(g.Name)
		if err == nil {
			d.Keys[g.Name] = g.Key
			d.To[g.Name], err = seal(s.opt.Secrets.Key, to, s.sealContext(generation, d.From, g.Name), text)
		}
		if err != nil {
			s.secretProblem(err)
			return nil
		}
	}
	value, err := json.Marshal(&d)
	if err != nil {
		return nil
	}
	ok, err := n.write(ctx, []clientv3.Cmp{clientv3.Compare(clientv3.ModRevision(s.key(keySecrets)), "=", revision)},
		clientv3.OpPut(s.key(keySecrets), string(value)), n.placesOp())
	if err != nil || !ok { // another one was quicker: the watch tells
		return err
	}
	s.mu.Lock()
	s.kept.Secrets = generation
	s.keep()
	s.mu.Unlock()
	s.secretProblem(nil)
	s.opt.Log.Info("site: the other gateways get the secrets of this one", "generation", generation)
	return nil
}

// secretProblem notes what is wrong with the secrets, once.
func (s *Site) secretProblem(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	text := ""
	if err != nil {
		text = "the secrets of the site are not shared: " + err.Error()
	}
	if text != s.unshared && text != "" {
		s.opt.Log.Error("site: secrets", "error", text)
	}
	s.unshared = text
}
