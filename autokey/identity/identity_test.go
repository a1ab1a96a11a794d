package identity

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"os"
	"slices"
	"strings"
	"testing"
)

// vector is one exchange of testdata; numbers are hexadecimal.
type vector struct {
	Session string
	fields  map[string]any
}

func (v vector) int(t testing.TB, name string) *big.Int {
	t.Helper()
	text, ok := v.fields[name].(string)
	x, valid := new(big.Int).SetString(text, 16)
	if !ok || !valid {
		t.Fatalf("%s: no number %q", v.Session, name)
	}
	return x
}

func (v vector) bytes(t testing.TB, name string) []byte {
	t.Helper()
	text, _ := v.fields[name].(string)
	b, err := hex.DecodeString(text)
	if err != nil || len(b) == 0 {
		t.Fatalf("%s: no octets %q: %v", v.Session, name, err)
	}
	return b
}

func vectors(t testing.TB, file string) []vector {
	t.Helper()
	data, err := os.ReadFile("testdata/" + file)
	if err != nil {
		t.Fatal(err)
	}
	var all struct{ Vectors []map[string]any }
	if err := json.Unmarshal(data, &all); err != nil {
		t.Fatal(err)
	}
	var out []vector
	for _, fields := range all.Vectors {
		session, _ := fields["session"].(string)
		out = append(out, vector{session, fields})
	}
	if len(out) == 0 {
		t.Fatalf("%s: no vectors", file)
	}
	return out
}

func iffKey(t testing.TB, v vector) *IFFKey {
	return &IFFKey{P: v.int(t, "p"), Q: v.int(t, "q"), G: v.int(t, "g"), B: v.int(t, "b")}
}

func gqKey(t testing.TB, v vector) *GQKey {
	return &GQKey{N: v.int(t, "n"), B: v.int(t, "b"), U: v.int(t, "u")}
}

func mvPair(t testing.TB, v vector) (*MVKey, *MVParameters) {
	return &MVKey{P: v.int(t, "p"), Q: v.int(t, "q"), E: v.int(t, "E"), GBar: v.int(t, "gbar"), GHat: v.int(t, "ghat")},
		&MVParameters{P: v.int(t, "p"), XBar: v.int(t, "xbar"), XHat: v.int(t, "xhat")}
}

func TestIFFVectors(t *testing.T) {
	for i, v := range vectors(t, "identity_iff.json") {
		t.Run(fmt.Sprintf("%d-%s", i, v.Session), func(t *testing.T) {
			key := iffKey(t, v)
			params := key.Parameters()
			if err := errors.Join(key.Validate(), params.Validate()); err != nil {
				t.Fatal(err)
			}
			if params.V.Cmp(v.int(t, "v")) != 0 {
				t.Error("Parameters gives another v")
			}
			challenge, response := v.bytes(t, "r"), v.bytes(t, "response_der")
			if err := params.Verify(challenge, response); err != nil {
				t.Errorf("Verify: %v", err)
			}
			// The server's random k, then nothing for the blinding.
			k := v.int(t, "k").FillBytes(make([]byte, octets(key.Q)))
			got, err := key.Respond(bytes.NewReader(append(k, make([]byte, 8)...)), challenge)
			if err != nil || !bytes.Equal(got, response) {
				t.Errorf("Respond = %x, %v; ntpd gave %x", got, err, response)
			}
			wrong := *params
			wrong.V = params.G
			if err := wrong.Verify(challenge, response); !errors.Is(err, ErrVerify) {
				t.Errorf("Verify with v = g: %v, want ErrVerify", err)
			}
		})
	}
}

func TestGQVectors(t *testing.T) {
	for i, v := range vectors(t, "identity_gq.json") {
		t.Run(fmt.Sprintf("%d-%s", i, v.Session), func(t *testing.T) {
			key := gqKey(t, v)
			params := (&GQParameters{N: key.N, B: key.B}).WithPublic(v.int(t, "v"))
			if err := errors.Join(key.Validate(), params.Validate()); err != nil {
				t.Fatal(err)
			}
			if key.Public().Cmp(params.V) != 0 {
				t.Error("Public gives another v")
			}
			if err := params.Verify(v.bytes(t, "r"), v.bytes(t, "response_der")); err != nil {
				t.Errorf("Verify: %v", err)
			}
		})
	}
}

func TestMVVectors(t *testing.T) {
	for i, v := range vectors(t, "identity_mv.json") {
		t.Run(fmt.Sprintf("%d-%s", i, v.Session), func(t *testing.T) {
			key, params := mvPair(t, v)
			if err := errors.Join(key.Validate(), params.Validate()); err != nil {
				t.Fatal(err)
			}
			err := params.Verify(v.bytes(t, "r"), v.bytes(t, "response_der"))
			if revoked := v.fields["verifies"] == false; revoked {
				if !errors.Is(err, ErrVerify) {
					t.Errorf("Verify with a revoked key: %v, want ErrVerify", err)
				}
			} else if err != nil {
				t.Errorf("Verify: %v", err)
			}
		})
	}
}

// pair is both sides of one scheme with values of testdata.
type pair struct {
	name string
	Responder
	Verifier
	challengeLen int
}

func pairs(t testing.TB) []pair {
	iff := iffKey(t, vectors(t, "identity_iff.json")[0])
	gq := gqKey(t, vectors(t, "identity_gq.json")[0])
	mv, params := mvPair(t, vectors(t, "identity_mv.json")[0])
	return []pair{
		{"iff", iff, iff.Parameters(), 20},
		{"gq", gq, gq.Parameters(), 64},
		{"mv", mv, params, 32},
	}
}

func TestExchange(t *testing.T) {
	for _, p := range pairs(t) {
		t.Run(p.name, func(t *testing.T) {
			for range 20 {
				challenge, err := p.Challenge(rand.Reader)
				if err != nil || len(challenge) != p.challengeLen {
					t.Fatalf("Challenge: %d octets, %v; want %d", len(challenge), err, p.challengeLen)
				}
				response, err := p.Respond(rand.Reader, challenge)
				if err != nil {
					t.Fatal(err)
				}
				if err := p.Verify(challenge, response); err != nil {
					t.Fatal(err)
				}
				other := slices.Clone(challenge)
				other[len(other)-1] ^= 1
				if err := p.Verify(other, response); !errors.Is(err, ErrVerify) {
					t.Errorf("other challenge: %v, want ErrVerify", err)
				}
				again, err := p.Respond(rand.Reader, challenge)
				if err != nil || bytes.Equal(again, response) {
					t.Errorf("two responses to one challenge are the same (%v)", err)
				}
			}
		})
	}
}

// Every octet of a response counts.
func TestDamagedResponses(t *testing.T) {
	for _, p := range pairs(t) {
		t.Run(p.name, func(t *testing.T) {
			challenge, _ := p.Challenge(rand.Reader)
			response, err := p.Respond(rand.Reader, challenge)
			if err != nil {
				t.Fatal(err)
			}
			for i := range response {
				bad := slices.Clone(response)
				bad[i] ^= 0x10
				if err := p.Verify(challenge, bad); !errors.Is(err, ErrVerify) && !errors.Is(err, ErrFormat) {
					t.Errorf("octet %d changed: %v", i, err)
				}
				if err := p.Verify(challenge, response[:i]); !errors.Is(err, ErrFormat) {
					t.Errorf("cut to %d octets: %v, want ErrFormat", i, err)
				}
			}
			if err := p.Verify(challenge, append(slices.Clone(response), 0)); !errors.Is(err, ErrFormat) {
				t.Errorf("octet appended: %v, want ErrFormat", err)
			}
		})
	}
}

func TestStrictDER(t *testing.T) {
	for _, test := range []struct{ name, der string }{
		{"empty", ""},
		{"no sequence", "0201010201 01"},
		{"long form of a short length", "3081060201010 20101"},
		{"indefinite length", "30800201010201010000"},
		{"leading zero", "3007020200010201 01"},
		{"negative", "30060201ff020101"},
		{"one integer", "3003020101"},
		{"three integers", "3009020101020101020101"},
		{"empty integer", "30050200020101"},
		{"huge integer", "3081870281810" + "1" + strings.Repeat("00", 128) + "020101"},
	} {
		der, err := hex.DecodeString(strings.ReplaceAll(test.der, " ", ""))
		if err != nil {
			t.Fatal(test.name, err)
		}
		if _, err := unmarshal(der, 2, 64); !errors.Is(err, ErrFormat) {
			t.Errorf("%s: %v, want ErrFormat", test.name, err)
		}
	}
}

func TestChallengeLengths(t *testing.T) {
	for _, p := range pairs(t) {
		for n, want := range map[int]error{0: ErrChallenge, 1: nil, p.challengeLen: nil, maxChallenge + 1: ErrChallenge} {
			if _, err := p.Respond(rand.Reader, bytes.Repeat([]byte{0x5a}, n)); !errors.Is(err, want) {
				t.Errorf("%s: challenge of %d octets: %v, want %v", p.name, n, err, want)
			}
		}
	}
}

// Answers that need no key must not pass.
func TestTrivialAnswersRefused(t *testing.T) {
	for _, p := range pairs(t) {
		challenge, _ := p.Challenge(rand.Reader)
		r := new(big.Int).SetBytes(challenge)
		minus := new(big.Int)
		if mv, ok := p.Verifier.(*MVParameters); ok {
			minus.Sub(mv.P, one)
		}
		for _, values := range [][]*big.Int{
			{new(big.Int), hash(one)}, {one, hash(one)}, {r, hash(r)},
			{r, one, one}, {r, minus, minus}, {r, minus, one}, {r, new(big.Int), new(big.Int)},
		} {
			der, err := marshal(values...)
			if err != nil {
				t.Fatal(err)
			}
			if err := p.Verify(challenge, der); err == nil {
				t.Errorf("%s: %v passed", p.name, values)
			}
		}
	}
}

func TestValidateRefuses(t *testing.T) {
	iff := iffKey(t, vectors(t, "identity_iff.json")[0])
	gq := gqKey(t, vectors(t, "identity_gq.json")[0])
	mv, params := mvPair(t, vectors(t, "identity_mv.json")[0])
	two := big.NewInt(2)
	for name, v := range map[string]interface{ Validate() error }{
		"iff empty":        &IFFKey{},
		"iff b = 0":        &IFFKey{iff.P, iff.Q, iff.G, new(big.Int)},
		"iff b = q":        &IFFKey{iff.P, iff.Q, iff.G, iff.Q},
		"iff g = 1":        &IFFKey{iff.P, iff.Q, one, iff.B},
		"iff g of order 2": &IFFKey{iff.P, iff.Q, new(big.Int).Sub(iff.P, one), iff.B},
		"iff q":            &IFFKey{iff.P, new(big.Int).Add(iff.Q, two), iff.G, iff.B},
		"iff small p":      &IFFKey{big.NewInt(23), big.NewInt(11), two, big.NewInt(3)},
		"iff v outside":    &IFFParameters{iff.P, iff.Q, iff.G, two},
		"iff v missing":    &IFFParameters{iff.P, iff.Q, iff.G, nil},
		"gq empty":         &GQKey{},
		"gq even n":        &GQKey{new(big.Int).Add(gq.N, one), gq.B, gq.U},
		"gq b = 1":         &GQKey{gq.N, one, gq.U},
		"gq u = 0":         &GQKey{gq.N, gq.B, new(big.Int)},
		"gq u = n":         &GQKey{gq.N, gq.B, gq.N},
		"gq huge b":        &GQKey{gq.N, new(big.Int).Lsh(one, 600), gq.U},
		"gq v = n":         &GQParameters{gq.N, gq.B, gq.N},
		"mv empty":         &MVKey{},
		"mv q":             &MVKey{mv.P, iff.Q, mv.E, mv.GBar, mv.GHat},
		"mv E = 1":         &MVKey{mv.P, mv.Q, one, mv.GBar, mv.GHat},
		"mv no ghat":       &MVKey{mv.P, mv.Q, mv.E, mv.GBar, nil},
		"mv par empty":     &MVParameters{},
		"mv par xbar":      &MVParameters{params.P, params.P, params.XHat},
	} {
		if err := v.Validate(); !errors.Is(err, ErrParameters) {
			t.Errorf("%s: %v, want ErrParameters", name, err)
		}
	}
	for _, p := range []pair{{"iff", &IFFKey{}, &IFFParameters{}, 0}, {"gq", &GQKey{}, &GQParameters{}, 0}, {"mv", &MVKey{},
		&MVParameters{}, 0}} {
		_, err1 := p.Respond(rand.Reader, []byte{1})
		_, err2 := p.Challenge(rand.Reader)
		for _, err := range []error{err1, err2, p.Verify([]byte{1}, []byte{0x30, 0})} {
			if !errors.Is(err, ErrParameters) {
				t.Errorf("%s: zero value: %v, want ErrParameters", p.name, err)
			}
		}
	}
}

func TestRandomSourceFails(t *testing.T) {
	for _, p := range pairs(t) {
		if _, err := p.Respond(bytes.NewReader(nil), []byte{1}); err == nil {
			t.Errorf("%s: Respond without randomness succeeded", p.name)
		}
		if _, err := p.Challenge(bytes.NewReader(make([]byte, 1<<20))); err == nil {
			t.Errorf("%s: Challenge from zeros succeeded", p.name)
		}
	}
}

func TestRedacted(t *testing.T) {
	for _, p := range pairs(t) {
		for _, v := range []any{p.Responder, p.Verifier} {
			for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%d", "%x"} {
				if text := fmt.Sprintf(verb, v); len(text) > 32 {
					t.Errorf("%s: %s prints %q", p.name, verb, text)
				}
			}
		}
	}
	key := *iffKey(t, vectors(t, "identity_iff.json")[0])
	if text := fmt.Sprintf("%+v", struct{ K IFFKey }{key}); strings.Contains(text, key.B.String()) {
		t.Errorf("prints %q", text)
	}
}

func FuzzVerify(f *testing.F) {
	all := pairs(f)
	for i, p := range all {
		challenge, _ := p.Challenge(rand.Reader)
		response, err := p.Respond(rand.Reader, challenge)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(i, challenge, response)
	}
	f.Fuzz(func(t *testing.T, scheme int, challenge, response []byte) {
		p := all[uint(scheme)%uint(len(all))]
		err := p.Verify(challenge, response)
		if err != nil && !errors.Is(err, ErrChallenge) && !errors.Is(err, ErrFormat) && !errors.Is(err, ErrVerify) {
			t.Errorf("unclassed error: %v", err)
		}
		own, err := p.Respond(rand.Reader, challenge)
		if err != nil {
			return
		}
		if len(challenge) <= p.challengeLen && p.name != "mv" {
			if err := p.Verify(challenge, own); err != nil {
				t.Errorf("own response to %x: %v", challenge, err)
			}
		}
	})
}

func FuzzUnmarshal(f *testing.F) {
	for _, v := range vectors(f, "identity_mv.json") {
		f.Add(v.bytes(f, "response_der"), uint8(3))
	}
	f.Add([]byte{0x30, 6, 2, 1, 1, 2, 1, 2}, uint8(2))
	f.Fuzz(func(t *testing.T, der []byte, count uint8) {
		values, err := unmarshal(der, int(count%5), 256)
		if err != nil {
			return
		}
		if again, err := marshal(values...); err != nil || !bytes.Equal(again, der) {
			t.Errorf("%x reads, but writes as %x (%v)", der, again, err)
		}
	})
}
