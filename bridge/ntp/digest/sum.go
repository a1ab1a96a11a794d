package digest

import (
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha3"
	"crypto/sha512"

	"golang.org/x/crypto/blake2b"
	"golang.org/x/crypto/blake2s"
)

// The functions below exist because a digest that is computed in one call
// keeps its state on the stack: no allocation, and no reset to pay for.

func sumMD5(dst *[MaxSize]byte, msg []byte)        { d := md5.Sum(msg); copy(dst[:], d[:]) }
func sumSHA1(dst *[MaxSize]byte, msg []byte)       { d := sha1.Sum(msg); copy(dst[:], d[:]) }
func sumSHA224(dst *[MaxSize]byte, msg []byte)     { d := sha256.Sum224(msg); copy(dst[:], d[:]) }
func sumSHA256(dst *[MaxSize]byte, msg []byte)     { d := sha256.Sum256(msg); copy(dst[:], d[:]) }
func sumSHA384(dst *[MaxSize]byte, msg []byte)     { d := sha512.Sum384(msg); copy(dst[:], d[:]) }
func sumSHA512(dst *[MaxSize]byte, msg []byte)     { *dst = sha512.Sum512(msg) }
func sumSHA3t224(dst *[MaxSize]byte, msg []byte)   { d := sha3.Sum224(msg); copy(dst[:], d[:]) }
func sumSHA3t256(dst *[MaxSize]byte, msg []byte)   { d := sha3.Sum256(msg); copy(dst[:], d[:]) }
func sumSHA3t384(dst *[MaxSize]byte, msg []byte)   { d := sha3.Sum384(msg); copy(dst[:], d[:]) }
func sumSHA3t512(dst *[MaxSize]byte, msg []byte)   { *dst = sha3.Sum512(msg) }
func sumBLAKE2b(dst *[MaxSize]byte, msg []byte)    { *dst = blake2b.Sum512(msg) }
func sumBLAKE2s(dst *[MaxSize]byte, msg []byte)    { d := blake2s.Sum256(msg); copy(dst[:], d[:]) }
func sumSHA512t224(dst *[MaxSize]byte, msg []byte) { d := sha512.Sum512_224(msg); copy(dst[:], d[:]) }
func sumSHA512t256(dst *[MaxSize]byte, msg []byte) { d := sha512.Sum512_256(msg); copy(dst[:], d[:]) }
