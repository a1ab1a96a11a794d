//go:build !purego

#include "go_asm.h"
#include "textflag.h"
#include "load_amd64.h"

// Counter mode, POLYVAL and AES-128-GCM-SIV. One call seals or opens a
// message, so that key schedule, hash and key stream of a short one overlap in
// the processor, and nothing is laid down for Go in between.
//
// Unaligned moves and clearing of registers are as in siv_amd64.s.

// The memory of a call starts at R12, a multiple of 16, and is cleared at the
// end.
#define STREAM 0   // 8 blocks of key stream
#define KEYS   128 // 11 round keys of the encryption key
#define POWERS 304 // the 1st to the 4th of POLYVAL's key
#define EXTRA  368 // 2 blocks to be hashed
#define TAG    400 // the tag that came
#define FRAME  432 // all of it, and what it takes to find a multiple of 16

#define ALIGN() \
	LEAQ 15(SP), R12; \
	ANDQ $~15, R12

// What makes a block of a counter: its reversal, or nothing.
DATA reverse<>+0(SB)/8, $0x08090a0b0c0d0e0f
DATA reverse<>+8(SB)/8, $0x0001020304050607
GLOBL reverse<>(SB), RODATA|NOPTR, $16
DATA same<>+0(SB)/8, $0x0706050403020100
DATA same<>+8(SB)/8, $0x0f0e0d0c0b0a0908
GLOBL same<>(SB), RODATA|NOPTR, $16

// The top bit of the last octet.
DATA top<>+0(SB)/8, $0
DATA top<>+8(SB)/8, $0x8000000000000000
GLOBL top<>(SB), RODATA|NOPTR, $16

// RotWord and Rcon as in expand_amd64.s.
DATA rotLast<>+0(SB)/8, $0x0c0f0e0d0c0f0e0d
DATA rotLast<>+8(SB)/8, $0x0c0f0e0d0c0f0e0d
GLOBL rotLast<>(SB), RODATA|NOPTR, $16
DATA rcon1<>+0(SB)/8, $0x0000000100000001
DATA rcon1<>+8(SB)/8, $0x0000000100000001
GLOBL rcon1<>(SB), RODATA|NOPTR, $16
DATA rcon9<>+0(SB)/8, $0x0000001b0000001b
DATA rcon9<>+8(SB)/8, $0x0000001b0000001b
GLOBL rcon9<>(SB), RODATA|NOPTR, $16

#include "stream_amd64.h"
#include "polyval_amd64.h"

#define ROUND4AT(op, offset) \
	MOVOU offset(AX), X8; \
	ROUND4(op)

// See SPREAD in expand_amd64.s.
#define STEP(offset) \
	MOVO       X10, X11;  \
	PSHUFB     X13, X11;  \
	AESENCLAST X14, X11;  \
	PSLLL      $1, X14;   \
	MOVO       X10, X12;  \
	PSLLO      $4, X12;   \
	PXOR       X12, X10;  \
	MOVO       X10, X12;  \
	PSLLO      $8, X12;   \
	PXOR       X12, X10;  \
	PXOR       X11, X10;  \
	MOVOU      X10, (KEYS+offset)(R12)

// derive makes the keys of the nonce of 12 octets at SI and puts the round
// keys of one and the powers of the other where they belong. AX points to the
// round keys of the key-generating key. X7 becomes the polynomial. The first
// halves of the blocks of counters 0 and 1 make the authentication key, those
// of 2 and 3 the encryption key (RFC 8452, section 4).
TEXT derive<>(SB), NOSPLIT, $0
	MOVQ   (SI), X0
	MOVL   8(SI), R9
	PINSRD $2, R9, X0
	PSLLO  $4, X0
	MOVOU  one<>(SB), X9
	MOVO   X0, X1
	PADDL  X9, X1
	MOVO   X1, X2
	PADDL  X9, X2
	MOVO   X2, X3
	PADDL  X9, X3
	ROUND4AT(PXOR, 0)
	ROUND4AT(AESENC, 16)
	ROUND4AT(AESENC, 32)
	ROUND4AT(AESENC, 48)
	ROUND4AT(AESENC, 64)
	ROUND4AT(AESENC, 80)
	ROUND4AT(AESENC, 96)
	ROUND4AT(AESENC, 112)
	ROUND4AT(AESENC, 128)
	ROUND4AT(AESENC, 144)
	ROUND4AT(AESENCLAST, 160)
	PUNPCKLQDQ X3, X2
	PUNPCKLQDQ X1, X0
	MOVO   X2, X10
	MOVO   X0, X8
	MOVOU  poly<>(SB), X7
	MOVOU  rotLast<>(SB), X13
	MOVOU  rcon1<>(SB), X14
	MOVOU  X10, KEYS(R12)
	STEP(16)
	STEP(32)
	STEP(48)
	STEP(64)
	STEP(80)
	STEP(96)
	STEP(112)
	STEP(128)
	MOVOU  rcon9<>(SB), X14
	STEP(144)
	STEP(160)
	MOVOU  X8, POWERS(R12)
	ZERO()
	MULTIPLY(X0, X8)
	REDUCE()
	MOVOU  X4, (POWERS+16)(R12)
	MOVO   X4, X9
	MOVO   X4, X0
	ZERO()
	MULTIPLY(X0, X8)
	REDUCE()
	MOVOU  X4, (POWERS+32)(R12)
	MOVO   X9, X0
	ZERO()
	MULTIPLY(X0, X9)
	REDUCE()
	MOVOU  X4, (POWERS+48)(R12)
	RET

#define ROUND1(op, offset) \
	MOVOU (KEYS+offset)(R12), X8; \
	op X8, X0

// tag makes the tag in X0 of the POLYVAL in X4 and the nonce at SI.
TEXT tag<>(SB), NOSPLIT, $0
	MOVQ   (SI), X0
	MOVL   8(SI), DX
	PINSRD $2, DX, X0
	PXOR   X4, X0
	MOVOU  top<>(SB), X1
	PANDN  X0, X1
	MOVO   X1, X0
	ROUND1(PXOR, 0)
	ROUND1(AESENC, 16)
	ROUND1(AESENC, 32)
	ROUND1(AESENC, 48)
	ROUND1(AESENC, 64)
	ROUND1(AESENC, 80)
	ROUND1(AESENC, 96)
	ROUND1(AESENC, 112)
	ROUND1(AESENC, 128)
	ROUND1(AESENC, 144)
	ROUND1(AESENCLAST, 160)
	RET

// X9 becomes the block of the lengths R9 and BX, in octets, for hash.
#define LENGTHS() \
	SHLQ   $3, R9; \
	MOVQ   R9, X9; \
	SHLQ   $3, BX; \
	PINSRQ $1, BX, X9; \
	MOVQ   $1, R9

#define CLEAR() \
	PXOR  X0, X0; \
	PXOR  X1, X1; \
	PXOR  X2, X2; \
	PXOR  X3, X3; \
	PXOR  X4, X4; \
	PXOR  X5, X5; \
	PXOR  X6, X6; \
	PXOR  X7, X7; \
	PXOR  X8, X8; \
	PXOR  X9, X9; \
	PXOR  X10, X10; \
	PXOR  X11, X11; \
	PXOR  X12, X12; \
	PXOR  X13, X13

#define CLEARKEYS() \
	MOVOU X0, (KEYS+0)(R12); \
	MOVOU X0, (KEYS+16)(R12); \
	MOVOU X0, (KEYS+32)(R12); \
	MOVOU X0, (KEYS+48)(R12); \
	MOVOU X0, (KEYS+64)(R12); \
	MOVOU X0, (KEYS+80)(R12); \
	MOVOU X0, (KEYS+96)(R12); \
	MOVOU X0, (KEYS+112)(R12); \
	MOVOU X0, (KEYS+128)(R12); \
	MOVOU X0, (KEYS+144)(R12); \
	MOVOU X0, (KEYS+160)(R12); \
	MOVOU X0, (POWERS+0)(R12); \
	MOVOU X0, (POWERS+16)(R12); \
	MOVOU X0, (POWERS+32)(R12); \
	MOVOU X0, (POWERS+48)(R12); \
	MOVOU X0, (EXTRA+0)(R12); \
	MOVOU X0, (EXTRA+16)(R12)

// Everything has been read when xorStream starts, but for what it reads.
//
// func sealGCMSIV(r *roundKeys, out, nonce, plaintext, ad []byte)
TEXT ·sealGCMSIV(SB), NOSPLIT, $FRAME-104
	ALIGN()
	MOVQ  r+0(FP), AX
	MOVQ  nonce_base+32(FP), SI
	CALL  derive<>(SB)
	PXOR  X4, X4
	MOVQ  ad_base+80(FP), SI
	MOVQ  ad_len+88(FP), R13
	XORL  R9, R9
	CALL  hash<>(SB)
	MOVQ  plaintext_base+56(FP), SI
	MOVQ  ad_len+88(FP), R9
	MOVQ  plaintext_len+64(FP), R13
	MOVQ  R13, BX
	LENGTHS()
	CALL  hash<>(SB)
	MOVQ  nonce_base+32(FP), SI
	CALL  tag<>(SB)
	MOVOU X0, TAG(R12)
	MOVOU top<>(SB), X9
	POR   X0, X9
	MOVOU same<>(SB), X12
	LEAQ  KEYS(R12), AX
	MOVQ  $10, BX
	MOVQ  out_base+8(FP), DI
	MOVQ  plaintext_base+56(FP), SI
	MOVQ  plaintext_len+64(FP), R13
	CALL  xorStream<>(SB)
	MOVOU TAG(R12), X0
	MOVOU X0, (DI)(R13*1)
	CLEAR()
	CLEARKEYS()
	RET

// func openGCMSIV(r *roundKeys, out, nonce, sealed, ad []byte) (difference uint64)
TEXT ·openGCMSIV(SB), NOSPLIT, $FRAME-112
	ALIGN()
	MOVQ  r+0(FP), AX
	MOVQ  nonce_base+32(FP), SI
	CALL  derive<>(SB)
	MOVQ  out_base+8(FP), DI
	MOVQ  sealed_base+56(FP), SI
	MOVQ  sealed_len+64(FP), R13
	SUBQ  $16, R13
	MOVOU (SI)(R13*1), X9
	MOVOU X9, TAG(R12)
	MOVOU top<>(SB), X0
	POR   X0, X9
	MOVOU same<>(SB), X12
	LEAQ  KEYS(R12), AX
	MOVQ  $10, BX
	CALL  xorStream<>(SB)
	MOVOU poly<>(SB), X7
	PXOR  X4, X4
	MOVQ  ad_base+80(FP), SI
	MOVQ  ad_len+88(FP), R13
	MOVQ  sealed_len+64(FP), BX
	SUBQ  $16, BX
	JEQ   lengths          // hashed together with the associated data
	XORL  R9, R9
	CALL  hash<>(SB)
	MOVQ  out_base+8(FP), SI
	MOVQ  sealed_len+64(FP), R13
	SUBQ  $16, R13
	MOVQ  R13, BX

lengths:
	MOVQ  ad_len+88(FP), R9
	LENGTHS()
	CALL  hash<>(SB)
	MOVQ  nonce_base+32(FP), SI
	CALL  tag<>(SB)
	MOVOU TAG(R12), X1
	PXOR  X1, X0
	MOVQ  X0, AX
	PEXTRQ $1, X0, DX
	ORQ   DX, AX
	MOVQ  AX, difference+104(FP)
	CLEAR()
	CLEARKEYS()
	RET

// func xorStreamBE(r *roundKeys, out, in []byte, hi, lo uint64)
TEXT ·xorStreamBE(SB), NOSPLIT, $FRAME-72
	ALIGN()
	MOVQ   r+0(FP), AX
	MOVQ   roundKeys_rounds(AX), BX
	MOVQ   out_base+8(FP), DI
	MOVQ   in_base+32(FP), SI
	MOVQ   in_len+40(FP), R13
	MOVQ   lo+64(FP), X9   // the counter, whose last octet is its first here
	MOVQ   hi+56(FP), DX
	PINSRQ $1, DX, X9
	MOVOU  reverse<>(SB), X12
	CALL   xorStream<>(SB)
	CLEAR()
	RET
