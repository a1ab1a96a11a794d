//go:build !purego

#include "go_asm.h"
#include "textflag.h"
#include "load_amd64.h"

// S2V of AES-SIV (RFC 5297), with AES of all key lengths.
//
// Memory is read and written with unaligned moves throughout: neither packets
// nor Keys are aligned to 16 octets. Registers that held keys, key stream or
// plaintext are cleared at the end.

// Reversal of a block, and of each half: a number is two halves.
DATA reverse<>+0(SB)/8, $0x08090a0b0c0d0e0f
DATA reverse<>+8(SB)/8, $0x0001020304050607
GLOBL reverse<>(SB), RODATA|NOPTR, $16
DATA halves<>+0(SB)/8, $0x0001020304050607
DATA halves<>+8(SB)/8, $0x08090a0b0c0d0e0f
GLOBL halves<>(SB), RODATA|NOPTR, $16

// What is added for the bits that leave the halves of a reversed block when it
// is doubled.
DATA carries<>+0(SB)/8, $0x0000000000000087
DATA carries<>+8(SB)/8, $0x0000000000000001
GLOBL carries<>(SB), RODATA|NOPTR, $16

// The padding of r octets is the block at 16-r.
DATA padding<>+0(SB)/8, $0
DATA padding<>+8(SB)/8, $0
DATA padding<>+16(SB)/8, $0x80
DATA padding<>+24(SB)/8, $0
GLOBL padding<>(SB), RODATA|NOPTR, $32

// PSHUFB with the block at 16+n shifts by n octets to the left, with that at
// 16-n to the right; zeros follow.
DATA shift<>+0(SB)/8, $0x8080808080808080
DATA shift<>+8(SB)/8, $0x8080808080808080
DATA shift<>+16(SB)/8, $0x0706050403020100
DATA shift<>+24(SB)/8, $0x0f0e0d0c0b0a0908
DATA shift<>+32(SB)/8, $0x8080808080808080
DATA shift<>+40(SB)/8, $0x8080808080808080
GLOBL shift<>(SB), RODATA|NOPTR, $48

#define ROUND2(offset, base) \
	MOVOU  offset(base), X15; \
	AESENC X15, X0; \
	AESENC X15, X1

#define ROUND(offset, base) \
	MOVOU  offset(base), X15; \
	AESENC X15, X0

// encrypt2 adds X2 to X0 and X3 to X1 and encrypts both. AX points to the
// first round key, R9 to the last one, BX is the number of rounds: 10, 12 or
// 14. X15 is lost.
TEXT encrypt2<>(SB), NOSPLIT, $0
	MOVOU (AX), X15
	PXOR  X15, X2
	PXOR  X15, X3
	PXOR  X2, X0
	PXOR  X3, X1
	CMPQ  BX, $10
	JEQ   ten
	ROUND2(16, AX)
	ROUND2(32, AX)
	CMPQ  BX, $12
	JEQ   ten
	ROUND2(48, AX)
	ROUND2(64, AX)

ten:
	ROUND2(-144, R9)
	ROUND2(-128, R9)
	ROUND2(-112, R9)
	ROUND2(-96, R9)
	ROUND2(-80, R9)
	ROUND2(-64, R9)
	ROUND2(-48, R9)
	ROUND2(-32, R9)
	ROUND2(-16, R9)
	MOVOU      (R9), X15
	AESENCLAST X15, X0
	AESENCLAST X15, X1
	RET

// encrypt adds X2 to X0 and encrypts as encrypt2.
TEXT encrypt<>(SB), NOSPLIT, $0
	MOVOU (AX), X15
	PXOR  X15, X2
	PXOR  X2, X0
	CMPQ  BX, $10
	JEQ   ten
	ROUND(16, AX)
	ROUND(32, AX)
	CMPQ  BX, $12
	JEQ   ten
	ROUND(48, AX)
	ROUND(64, AX)

ten:
	ROUND(-144, R9)
	ROUND(-128, R9)
	ROUND(-112, R9)
	ROUND(-96, R9)
	ROUND(-80, R9)
	ROUND(-64, R9)
	ROUND(-48, R9)
	ROUND(-32, R9)
	ROUND(-16, R9)
	MOVOU      (R9), X15
	AESENCLAST X15, X0
	RET

// DOUBLE multiplies X by x in CMAC's field (RFC 5297, section 2.3), in constant
// time. X6 is the reversal, X14 the carries, tmp is lost.
#define DOUBLE(X, tmp) \
	PSHUFB X6, X; \
	PSHUFD $0x13, X, tmp; \
	PSRAL  $31, tmp; \
	PAND   X14, tmp; \
	PADDQ  X, X; \
	PXOR   tmp, X; \
	PSHUFB X6, X

#define SCHEDULE() \
	MOVQ roundKeys_rounds(AX), BX; \
	MOVQ BX, R9; \
	SHLQ $4, R9; \
	ADDQ AX, R9

#define CLEAR() \
	PXOR X0, X0; \
	PXOR X1, X1; \
	PXOR X2, X2; \
	PXOR X3, X3; \
	PXOR X4, X4; \
	PXOR X5, X5; \
	PXOR X8, X8; \
	PXOR X9, X9; \
	PXOR X10, X10; \
	PXOR X11, X11; \
	PXOR X12, X12; \
	PXOR X15, X15

// func subkeys(r *roundKeys, k1, d0 *number)
TEXT ·subkeys(SB), NOSPLIT, $0-24
	MOVQ   r+0(FP), AX
	MOVQ   k1+8(FP), SI
	MOVQ   d0+16(FP), DI
	SCHEDULE()
	MOVOU  reverse<>(SB), X6
	MOVOU  halves<>(SB), X7
	MOVOU  carries<>(SB), X14
	PXOR   X0, X0
	PXOR   X2, X2
	CALL   encrypt<>(SB)
	DOUBLE(X0, X1)
	MOVO   X0, X2
	MOVO   X0, X3
	PSHUFB X7, X3
	MOVOU  X3, (SI)
	PXOR   X0, X0
	CALL   encrypt<>(SB)
	PSHUFB X7, X0
	MOVOU  X0, (DI)
	CLEAR()
	RET

// last makes X4 the last block of the R13 octets at SI, of 1 to 16 octets, or
// none if there is none at all, with padding and subkey: X8 is K1, X9 K2 (RFC
// 4493, section 2.4). R8 becomes the number of blocks before it, R11 its length.
// X0, X5, CX, DX and R10 are lost.
TEXT last<>(SB), NOSPLIT, $0
	XORL  R8, R8
	XORL  R11, R11
	PXOR  X4, X4
	TESTQ R13, R13
	JEQ   pad
	LEAQ  -1(R13), R8
	MOVQ  R8, R10
	ANDQ  $~15, R10
	SHRQ  $4, R8
	MOVQ  R13, R11
	SUBQ  R10, R11
	ADDQ  SI, R10
	CMPQ  R11, $16
	JEQ   whole
	CALL  load<>(SB)
	MOVO  X0, X4

pad:
	LEAQ  padding<>+16(SB), R10
	SUBQ  R11, R10
	MOVOU (R10), X5
	PXOR  X5, X4
	PXOR  X9, X4
	RET

whole:
	MOVOU (R10), X4
	PXOR  X8, X4
	RET

// The chains of CBC-MAC over associated data and plaintext run side by side:
// what precedes enters the plaintext's only in its last two blocks. That over
// the nonce is short and needs no care.
//
// func s2v(k *sivMAC, v *number, plaintext, ad, nonce []byte)
TEXT ·s2v(SB), NOSPLIT, $0-88
	MOVQ   k+0(FP), DX
	LEAQ   sivMAC_aes(DX), AX
	SCHEDULE()
	MOVOU  reverse<>(SB), X6
	MOVOU  halves<>(SB), X7
	MOVOU  carries<>(SB), X14
	MOVOU  sivMAC_k1(DX), X8
	MOVOU  sivMAC_d0(DX), X10
	PSHUFB X7, X8
	PSHUFB X7, X10
	MOVO   X8, X9
	DOUBLE(X9, X1)

	// X11: CMAC of the nonce.
	MOVQ  nonce_base+64(FP), SI
	MOVQ  nonce_len+72(FP), R13
	CALL  last<>(SB)
	PXOR  X0, X0
	TESTQ R8, R8
	JEQ   nonceLast

nonceBlock:
	MOVOU (SI), X2
	ADDQ  $16, SI
	CALL  encrypt<>(SB)
	SUBQ  $1, R8
	JNE   nonceBlock

nonceLast:
	MOVO X4, X2
	CALL encrypt<>(SB)
	MOVO X0, X11

	// X12, DI and R12: the plaintext's last block, and the first blocks, but
	// for the one before the last.
	MOVQ plaintext_base+16(FP), SI
	MOVQ plaintext_len+24(FP), R13
	CALL last<>(SB)
	MOVO X4, X12
	MOVQ SI, DI
	MOVQ R8, R12
	SUBQ $1, R12

	// X4, SI and R8: those of the associated data.
	MOVQ  ad_base+40(FP), SI
	MOVQ  ad_len+48(FP), R13
	CALL  last<>(SB)
	PXOR  X0, X0
	PXOR  X1, X1

both:
	CMPQ  R8, $0
	JLE   adLast
	CMPQ  R12, $0
	JLE   adBlock
	MOVOU (SI), X2
	MOVOU (DI), X3
	ADDQ  $16, SI
	ADDQ  $16, DI
	SUBQ  $1, R8
	SUBQ  $1, R12
	CALL  encrypt2<>(SB)
	JMP   both

adBlock:
	MOVOU (SI), X2
	ADDQ  $16, SI
	CALL  encrypt<>(SB)
	SUBQ  $1, R8
	JNE   adBlock

adLast:
	// X10: what enters the plaintext, but for the last doubling.
	MOVO X4, X2
	CALL encrypt<>(SB)
	DOUBLE(X10, X5)
	PXOR X0, X10
	DOUBLE(X10, X5)
	PXOR X11, X10
	MOVO X1, X0
	CMPQ R12, $0
	JLE  end

plaintextBlock:
	MOVOU (DI), X2
	ADDQ  $16, DI
	CALL  encrypt<>(SB)
	SUBQ  $1, R12
	JNE   plaintextBlock

end:
	// R11: octets of the last block.
	MOVQ  plaintext_len+24(FP), R13
	CMPQ  R13, $16
	JLT   short
	LEAQ  -1(R13), R11
	ANDQ  $15, R11
	ADDQ  $1, R11
	CMPQ  R13, $16
	JEQ   final
	MOVOU (DI), X2         // the block before the last
	LEAQ  shift<>+16(SB), R10
	SUBQ  R11, R10
	MOVOU (R10), X5
	MOVO  X10, X3
	PSHUFB X5, X3
	PXOR  X3, X2
	CALL  encrypt<>(SB)
	LEAQ  shift<>+32(SB), R10
	SUBQ  R11, R10
	MOVOU (R10), X5
	PSHUFB X5, X10

final:
	PXOR   X10, X12
	MOVO   X12, X2
	CALL   encrypt<>(SB)
	MOVQ   v+8(FP), DI
	PSHUFB X7, X0
	MOVOU  X0, (DI)
	CLEAR()
	RET

short:
	// Less than a block: it is padded, doubled what precedes, and K1 added;
	// X12 has K2 instead.
	DOUBLE(X10, X5)
	PXOR X8, X12
	PXOR X9, X12
	PXOR X0, X0
	JMP  final
