package identity

import (
	"fmt"
	"io"
	"math/big"
)

// The types of this package print their kind and size only, under every verb
// of fmt: their values are secrets of the group.

// Format implements fmt.Formatter; it never prints a value.
func (k IFFKey) Format(s fmt.State, _ rune) { redact(s, "IFF key", k.P) }

// Format implements fmt.Formatter; it never prints a value.
func (p IFFParameters) Format(s fmt.State, _ rune) { redact(s, "IFF parameters", p.P) }

// Format implements fmt.Formatter; it never prints a value.
func (k GQKey) Format(s fmt.State, _ rune) { redact(s, "GQ key", k.N) }

// Format implements fmt.Formatter; it never prints a value.
func (p GQParameters) Format(s fmt.State, _ rune) { redact(s, "GQ parameters", p.N) }

// Format implements fmt.Formatter; it never prints a value.
func (k MVKey) Format(s fmt.State, _ rune) { redact(s, "MV key", k.P) }

// Format implements fmt.Formatter; it never prints a value.
func (p MVParameters) Format(s fmt.State, _ rune) { redact(s, "MV parameters", p.P) }

func redact(w io.Writer, kind string, modulus *big.Int) {
	bits := 0
	if modulus != nil {
		bits = modulus.BitLen()
	}
	fmt.Fprintf(w, "%s (%d bits)", kind, bits)
}

// Format implements fmt.Formatter; it never prints a value.
func (g MVGroup) Format(s fmt.State, _ rune) { redact(s, "MV group", g.P) }
