//go:build !amd64 || purego

package aead

// assembly reports whether the assembly is in use.
const assembly = false

func (s *schedule) expand(key []byte) { s.expandGeneric(key) }

func (s *schedule) cbcMAC(x *block, p []byte, last number) { s.cbcMACGeneric(x, p, last) }

func (s *schedule) stream(out *[streamLen]byte, ctr *block, o order) { s.streamGeneric(out, ctr, o) }

func (h *hashKey) init(key *block) { h.powers[0] = *key }

func (h *hashKey) blocks(x *block, p []byte, extra ...element) { h.blocksGeneric(x, p, extra...) }

func (k *Key) derive(n *nonceKeys, nonce []byte) { k.deriveGeneric(n, nonce) }
