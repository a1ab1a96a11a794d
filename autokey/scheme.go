package autokey

import "ntsbridge/autokey/keyfile"

// schemeOp returns the operation of an identity scheme.
func schemeOp(s keyfile.Scheme) Op {
	switch s {
	case keyfile.IFF:
		return OpIFF
	case keyfile.GQ:
		return OpGQ
	case keyfile.MV:
		return OpMV
	}
	return OpNull
}

// schemeFlag returns the flag by which a server offers an identity scheme.
func schemeFlag(s keyfile.Scheme) Flags {
	switch s {
	case keyfile.IFF:
		return FlagIFF
	case keyfile.GQ:
		return FlagGQ
	case keyfile.MV:
		return FlagMV
	}
	return 0
}
