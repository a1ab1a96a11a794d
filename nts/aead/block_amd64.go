//go:build !purego

package aead

import "golang.org/x/sys/cpu"

// assembly tells whether to use the assembly. Only tests change it.
var assembly = cpu.X86.HasAES && cpu.X86.HasPCLMULQDQ && cpu.X86.HasSSSE3 && cpu.X86.HasSSE41

//go:noescape
func expand128(s *schedule, key *byte)

//go:noescape
func expand192(s *schedule, key *byte)

//go:noescape
func expand256(s *schedule, key *byte)

// cbcMAC runs the chain of CBC-MAC from x over blocks blocks at p and then
// over the block of big-endian halves hi and lo.
//
//go:noescape
func cbcMAC(s *schedule, x *block, p *byte, blocks int, hi, lo uint64)

// stream8BE makes 8 blocks of key stream and advances the counter, which is
// the last 4 octets, big endian.
//
//go:noescape
func stream8BE(s *schedule, out *[streamLen]byte, ctr *block)

// stream8LE makes 8 blocks of key stream and advances the counter, which is
// the first 4 octets, little endian.
//
//go:noescape
func stream8LE(s *schedule, out *[streamLen]byte, ctr *block)

// polyvalPowers computes h.powers from h.powers[0].
//
//go:noescape
func polyvalPowers(h *hashKey)

// polyvalBlocks adds blocks blocks at p, and behind them extra ones, 0 to 2 of
// the little-endian halves e0 to e3, to the POLYVAL x.
//
//go:noescape
func polyvalBlocks(h *hashKey, x *block, p *byte, blocks, extra int, e0, e1, e2, e3 uint64)

// deriveKeys makes the authentication key and the encryption key of a nonce of
// 12 octets.
//
//go:noescape
func deriveKeys(s *schedule, nonce *byte, auth, enc *block)

func (s *schedule) expand(key []byte) {
	if !assembly {
		s.expandGeneric(key)
		return
	}
	s.generic = nil
	switch len(key) {
	case 16:
		expand128(s, &key[0])
	case 24:
		expand192(s, &key[0])
	case 32:
		expand256(s, &key[0])
	}
}

func (s *schedule) cbcMAC(x *block, p []byte, last number) {
	if s.generic != nil {
		s.cbcMACGeneric(x, p, last)
		return
	}
	start := &x[0] // of nothing
	if len(p) >= blockLen {
		start = &p[0]
	}
	cbcMAC(s, x, start, len(p)/blockLen, last.hi, last.lo)
}

func (s *schedule) stream(out *[streamLen]byte, ctr *block, o order) {
	switch {
	case s.generic != nil:
		s.streamGeneric(out, ctr, o)
	case o == sivOrder:
		stream8BE(s, out, ctr)
	default:
		stream8LE(s, out, ctr)
	}
}

func (h *hashKey) init(key *block) {
	h.powers[0] = *key
	if assembly {
		polyvalPowers(h)
	}
}

func (h *hashKey) blocks(x *block, p []byte, extra ...element) {
	if !assembly {
		h.blocksGeneric(x, p, extra...)
		return
	}
	var e [2]element
	start := &x[0] // of nothing
	if len(p) >= blockLen {
		start = &p[0]
	}
	n := copy(e[:], extra)
	polyvalBlocks(h, x, start, len(p)/blockLen, n, e[0].lo, e[0].hi, e[1].lo, e[1].hi)
}

// derive makes the keys of one nonce (RFC 8452, section 4).
func (k *Key) derive(n *nonceKeys, nonce []byte) {
	if k.ctr.generic != nil {
		k.deriveGeneric(n, nonce)
		return
	}
	_ = nonce[gcmSIVNonceLen-1]
	deriveKeys(&k.ctr, &nonce[0], &n.auth.powers[0], &n.enc.keys[0])
	expand128(&n.enc, &n.enc.keys[0][0])
	polyvalPowers(&n.auth)
}
