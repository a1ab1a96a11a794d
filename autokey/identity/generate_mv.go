package identity

import (
	"fmt"
	"io"
	"math/big"
	"slices"

	"ntsbridge/autokey/internal/primes"
)

// Number of client keys of a new MV group. One of them is always revoked, else
// the answer would show the challenge; ntpd reads at most 100 keys of one file.
const (
	MinMVKeys = 2
	maxMVKeys = 97
)

// minMVPrime is the shortest prime of which q is made, bits: of shorter ones
// there are not enough.
const minMVPrime = 12

// MVGroup is everything the trusted authority of an MV group has.
type MVGroup struct {
	P, Q, G *big.Int        // as in MVKey; G generates the subgroup of order Q
	A       *big.Int        // master encryption key
	B       *big.Int        // group key, prime to Q
	Server  *MVKey          // for the servers
	Clients []*MVParameters // client key j is Clients[j-1]
}

// Works reports whether client key j, 1 to len(Clients), opens what the server
// key encrypts: it is not revoked.
func (g *MVGroup) Works(j int) bool {
	if j < 1 || j > len(g.Clients) {
		return false
	}
	c, s := g.Clients[j-1], g.Server
	x := new(big.Int).Exp(s.GBar, c.XHat, g.P)
	x.Mul(x, new(big.Int).Exp(s.GHat, c.XBar, g.P))
	x.Mod(x, g.P)
	x.Mul(x, s.E)
	return x.Mod(x, g.P).Cmp(one) == 0
}

// GenerateMV makes a new MV group with the given number of client keys, the
// last of which is revoked (RFC 5906, appendix D). bits is the length of P, 256
// to 2048, rounded up to whole octets: a client of ntpd 4.2.8p15 fails when its
// challenge, a number below P, has fewer octets than P, which then happens once
// in 128 times or less. (ntp-keygen's own come out shorter at random.)
func GenerateMV(rand io.Reader, bits, keys int, progress Progress) (*MVGroup, error) {
	if keys < MinMVKeys || keys > maxMVKeys {
		return nil, fmt.Errorf("%w: MV group of %d client keys, want %d to %d, of which the last is revoked", ErrParameters, keys,
			MinMVKeys, maxMVKeys)
	}
	if bits < 256 || bits > MaxNewBits {
		return nil, fmt.Errorf("%w: MV modulus of %d bits, want 256 to %d", ErrParameters, bits, MaxNewBits)
	}
	if bits/keys < minMVPrime {
		return nil, fmt.Errorf("%w: MV modulus of %d bits is too short for %d client keys, want at least %d", ErrParameters, bits,
			keys, keys*minMVPrime)
	}
	m := &mvMaker{rand: rand, keys: keys, bits: (bits + 7) &^ 7, primeBits: bits / keys, progress: progress.of("MV")}
	for _, step := range []func() error{m.modulus, m.generator, m.roots, m.master, m.groupKey} {
		if err := step(); err != nil {
			return nil, fmt.Errorf("identity: %w", err)
		}
	}
	return m.group()
}

// mvMaker is the state of one GenerateMV. Its numbers carry the names of RFC
// 5906.
type mvMaker struct {
	rand                  io.Reader
	keys, bits, primeBits int
	progress              primes.Progress

	s1      []*big.Int // primes, one for each client
	p, q, g *big.Int
	x       []*big.Int // roots of the polynomial
	a       *big.Int   // master encryption key
	b       *big.Int
}

// tries is how many last primes are tried before another prime is replaced: of
// short ones there are too few.
func (m *mvMaker) tries() int { return 1 << min(m.primeBits-6, 14) }

// modulus finds distinct primes whose product q makes p = 2q+1 prime and of
// full length: all but one, then the last to go with them.
func (m *mvMaker) modulus() error {
	last := m.keys - 1
	m.s1 = make([]*big.Int, m.keys)
	for j := range last {
		if err := m.replace(j); err != nil {
			return err
		}
	}
	for tried := 0; ; tried++ {
		if n := m.tries(); tried%n == 0 && tried > 0 {
			if err := m.replace(tried / n % last); err != nil {
				return err
			}
		}
		found, err := m.lastPrime()
		if found || err != nil {
			return err
		}
		if m.progress != nil {
			m.progress(tried)
		}
	}
}

// replace puts a prime that is not there yet into place j.
func (m *mvMaker) replace(j int) error {
	for {
		s, err := primes.Prime(m.rand, m.primeBits, nil)
		if err != nil {
			return err
		}
		if !m.contains(s) {
			m.s1[j] = s
			return nil
		}
	}
}

func (m *mvMaker) contains(s *big.Int) bool {
	return slices.ContainsFunc(m.s1, func(other *big.Int) bool { return other != nil && other.Cmp(s) == 0 })
}

// lastPrime tries one number as the last prime; it reports whether that makes
// p what it must be. The cheap tests come first.
func (m *mvMaker) lastPrime() (bool, error) {
	last := m.keys - 1
	q := big.NewInt(1)
	for _, s := range m.s1[:last] {
		q.Mul(q, s)
	}
	lowest := new(big.Int).Lsh(one, uint(m.bits-2))
	span := new(big.Int).Div(lowest, q)
	s, err := primes.Bits(m.rand, span.BitLen())
	if err != nil {
		return false, err
	}
	s.Add(s, span) // q of full length
	s.SetBit(s, 0, 1)
	q.Mul(q, s)
	p := new(big.Int).Lsh(q, 1)
	p.Add(p, one)
	if p.BitLen() != m.bits || primes.Sieved(s) || primes.Sieved(p) || m.contains(s) || !primes.Is(s) || !primes.Is(p) {
		return false, nil
	}
	m.s1[last], m.p, m.q = s, p, q
	return true, nil
}

// generator finds a g whose order is q itself: a square that no quotient of q
// by one of its primes takes to 1.
func (m *mvMaker) generator() error {
	for {
		h, err := random(m.rand, m.p)
		if err != nil {
			return err
		}
		g := h.Mul(h, h)
		g.Mod(g, m.p)
		if g.Cmp(one) > 0 && m.fullOrder(g) {
			m.g = g
			return nil
		}
	}
}

func (m *mvMaker) fullOrder(g *big.Int) bool {
	for _, s := range m.s1 {
		part := new(big.Int).Div(m.q, s)
		if part.Exp(g, part, m.p).Cmp(one) == 0 {
			return false
		}
	}
	return true
}

// roots rolls the roots of the polynomial, one for each client.
func (m *mvMaker) roots() error {
	m.x = make([]*big.Int, m.keys)
	for j := range m.x {
		var err error
		if m.x[j], err = coprime(m.rand, m.q); err != nil {
			return err
		}
	}
	return nil
}

// master computes A = g^e with e the sum of a[i] x[j]^i over all j and all i
// below n. The polynomial is zero at x[j] and its highest coefficient is 1, so
// the sum over i is -x[j]^n: no coefficient is needed.
func (m *mvMaker) master() error {
	n := big.NewInt(int64(m.keys))
	e := new(big.Int)
	for _, x := range m.x {
		e.Sub(e, new(big.Int).Exp(x, n, m.q))
	}
	m.a = e.Exp(m.g, e.Mod(e, m.q), m.p)
	return nil
}

func (m *mvMaker) groupKey() (err error) {
	m.b, err = coprime(m.rand, m.q)
	return err
}

// group makes the keys of the server and of the clients.
func (m *mvMaker) group() (*MVGroup, error) {
	g := &MVGroup{P: m.p, Q: m.q, G: m.g, A: m.a, B: m.b}
	inverse := new(big.Int).ModInverse(m.b, m.q)
	n := big.NewInt(int64(m.keys))
	powers := make([]*big.Int, m.keys)
	sum := new(big.Int)
	for j, x := range m.x {
		powers[j] = new(big.Int).Exp(x, n, m.q)
		sum.Add(sum, powers[j])
	}
	for j := range m.x {
		xbar := new(big.Int).Sub(sum, powers[j])
		xbar.Mod(xbar.Mul(xbar, inverse), m.q)
		// A factor that is 1 once the prime s1[j] is in the enabling key.
		w := new(big.Int).Div(m.q, m.s1[j])
		w.Add(w, one)
		xhat := w.Mul(w, powers[j])
		g.Clients = append(g.Clients, &MVParameters{P: m.p, XBar: xbar, XHat: xhat.Mod(xhat, m.q)})
	}
	// The enabling key without the last client's prime revokes that client.
	s := new(big.Int).Div(m.q, m.s1[m.keys-1])
	sb := new(big.Int).Mul(s, m.b)
	g.Server = &MVKey{
		P: m.p, Q: m.q,
		E:    new(big.Int).Exp(m.a, s, m.p),
		GBar: new(big.Int).Exp(m.g, s, m.p),
		GHat: new(big.Int).Exp(m.g, sb.Mod(sb, m.q), m.p),
	}
	if err := g.Server.Validate(); err != nil {
		return nil, err
	}
	for j := range g.Clients {
		if g.Works(j+1) != (j+1 < m.keys) {
			return nil, fmt.Errorf("%w: MV client key %d came out wrong", ErrParameters, j+1)
		}
		if err := g.Clients[j].check(); err != nil {
			return nil, err
		}
	}
	return g, nil
}
