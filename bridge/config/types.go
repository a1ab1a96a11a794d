package config

// RefID is a reference identifier as it stands in the header.
type RefID uint32

// AEAD is an AEAD algorithm by its IANA number.
type AEAD uint16
