package identity

import (
	"fmt"
	"math/big"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// marshal returns the DER of SEQUENCE { INTEGER, ... }, the form of a DSA
// signature (IFF, GQ) and of DSA parameters (MV).
func marshal(values ...*big.Int) ([]byte, error) {
	var b cryptobyte.Builder
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		for _, v := range values {
			b.AddASN1BigInt(v)
		}
	})
	return b.Bytes()
}

// unmarshal reads what marshal writes: exactly the given number of integers,
// none negative, shortest encoding only, nothing behind them. maxLen bounds
// each one in octets.
func unmarshal(der []byte, count, maxLen int) ([]*big.Int, error) {
	input := cryptobyte.String(der)
	var body cryptobyte.String
	if !input.ReadASN1(&body, asn1.SEQUENCE) || !input.Empty() {
		return nil, fmt.Errorf("%w: not one DER sequence", ErrFormat)
	}
	values := make([]*big.Int, count)
	for i := range values {
		var raw cryptobyte.String
		peek := body
		if !peek.ReadASN1(&raw, asn1.INTEGER) || len(raw) > maxLen+1 {
			return nil, fmt.Errorf("%w: integer %d of %d missing or too long", ErrFormat, i+1, count)
		}
		values[i] = new(big.Int)
		if !body.ReadASN1Integer(values[i]) {
			return nil, fmt.Errorf("%w: integer %d of %d is not in its shortest form", ErrFormat, i+1, count)
		}
		if values[i].Sign() < 0 {
			return nil, fmt.Errorf("%w: integer %d of %d is negative", ErrFormat, i+1, count)
		}
	}
	if !body.Empty() {
		return nil, fmt.Errorf("%w: more than %d integers", ErrFormat, count)
	}
	return values, nil
}
