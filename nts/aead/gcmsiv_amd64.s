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

// One in the first word.
DATA one<>+0(SB)/8, $1
DATA one<>+8(SB)/8, $0
GLOBL one<>(SB), RODATA|NOPTR, $16

// The top bit of the last octet.
DATA top<>+0(SB)/8, $0
DATA top<>+8(SB)/8, $0x8000000000000000
GLOBL top<>(SB), RODATA|NOPTR, $16

// POLYVAL's polynomial without x^128: x^127 + x^126 + x^121 + 1.
DATA poly<>+0(SB)/8, $1
DATA poly<>+8(SB)/8, $0xc200000000000000
GLOBL poly<>(SB), RODATA|NOPTR, $16

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

// store writes the first R11 octets of X0, 1 to 15, to R10. DX and R10 are
// lost.
TEXT store<>(SB), NOSPLIT, $0
	MOVQ   X0, DX
	TESTQ  $8, R11
	JEQ    below8
	MOVQ   DX, (R10)
	PEXTRQ $1, X0, DX
	ADDQ   $8, R10

below8:
	TESTQ $4, R11
	JEQ   below4
	MOVL  DX, (R10)
	SHRQ  $32, DX
	ADDQ  $4, R10

below4:
	TESTQ $2, R11
	JEQ   below2
	MOVW  DX, (R10)
	SHRQ  $16, DX
	ADDQ  $2, R10

below2:
	TESTQ $1, R11
	JEQ   done
	MOVB  DX, (R10)

done:
	XORL DX, DX
	RET

#define ROUND8(op) \
	op X8, X0; \
	op X8, X1; \
	op X8, X2; \
	op X8, X3; \
	op X8, X4; \
	op X8, X5; \
	op X8, X6; \
	op X8, X7

// X becomes the block of the counter in X9, and that the next one.
#define COUNT(X) \
	MOVO   X9, X; \
	PSHUFB X12, X; \
	PADDL  X11, X9

// reg becomes the end of the eight blocks that start at R8.
#define END(reg) \
	LEAQ    128(R8), reg; \
	CMPQ    reg, R13; \
	CMOVQGT R13, reg

// xorStream encrypts or decrypts R13 octets at SI to DI in counter mode. AX
// points to the round keys, BX is one less than their number. X9 is the first
// counter, which counts in its first word, and X12 makes blocks of counters.
//
// DI may be anywhere around SI: eight blocks are worked on at a time, and
// where output would run over input that is still needed, the last ones first,
// and of them the last block first. A part of a block, which comes at the very
// end, is read before and written after the others.
TEXT xorStream<>(SB), NOSPLIT, $0
	TESTQ R13, R13
	JEQ   none
	MOVOU one<>(SB), X11
	PXOR  X10, X10         // from one past the eight to the next counter
	XORL  R8, R8
	MOVQ  $128, R9         // from eight blocks to the next ones
	MOVQ  DI, DX
	SUBQ  SI, DX
	SUBQ  $1, DX
	CMPQ  DX, R13
	JCC   eight
	LEAQ  -1(R13), R8
	ANDQ  $~127, R8
	NEGQ  R9
	MOVL  $-16, DX
	MOVQ  DX, X10
	MOVQ  R8, DX
	SHRQ  $4, DX
	MOVL  DX, X0
	PADDL X0, X9

eight:
	COUNT(X0)
	COUNT(X1)
	COUNT(X2)
	COUNT(X3)
	COUNT(X4)
	COUNT(X5)
	COUNT(X6)
	COUNT(X7)
	PADDL X10, X9
	MOVQ  AX, R10
	LEAQ  -1(BX), R11
	MOVOU (AX), X8
	ROUND8(PXOR)

round:
	ADDQ  $16, R10
	MOVOU (R10), X8
	ROUND8(AESENC)
	SUBQ  $1, R11
	JNE   round
	MOVOU 16(R10), X8
	ROUND8(AESENCLAST)
	MOVOU X0, (STREAM+0)(R12)
	MOVOU X1, (STREAM+16)(R12)
	MOVOU X2, (STREAM+32)(R12)
	MOVOU X3, (STREAM+48)(R12)
	MOVOU X4, (STREAM+64)(R12)
	MOVOU X5, (STREAM+80)(R12)
	MOVOU X6, (STREAM+96)(R12)
	MOVOU X7, (STREAM+112)(R12)
	END(R11)
	MOVQ  R11, R10
	ANDQ  $~15, R10
	ANDQ  $15, R11
	JEQ   whole
	MOVQ  R10, DX
	SUBQ  R8, DX
	MOVOU STREAM(R12)(DX*1), X13
	ADDQ  SI, R10
	CALL  load<>(SB)
	PXOR  X0, X13

whole:
	END(R11)
	SUBQ R8, R11
	SHRQ $4, R11
	JEQ  part
	LEAQ STREAM(R12), R10
	SUBQ R8, R10
	MOVQ R8, DX
	MOVQ R9, CX
	SARQ $3, CX           // from block to block
	JGT  block
	MOVQ R11, DX
	SHLQ $4, DX
	LEAQ -16(DX)(R8*1), DX

block:
	MOVOU (SI)(DX*1), X0
	MOVOU (R10)(DX*1), X1
	PXOR  X1, X0
	MOVOU X0, (DI)(DX*1)
	ADDQ  CX, DX
	SUBQ  $1, R11
	JNE   block

part:
	END(R10)
	MOVQ R10, R11
	ANDQ $15, R11
	JEQ  next
	ANDQ $~15, R10
	ADDQ DI, R10
	MOVO X13, X0
	CALL store<>(SB)

next:
	ADDQ  R9, R8
	CMPQ  R8, R13
	JCS   eight
	PXOR  X0, X0
	MOVOU X0, (STREAM+0)(R12)
	MOVOU X0, (STREAM+16)(R12)
	MOVOU X0, (STREAM+32)(R12)
	MOVOU X0, (STREAM+48)(R12)
	MOVOU X0, (STREAM+64)(R12)
	MOVOU X0, (STREAM+80)(R12)
	MOVOU X0, (STREAM+96)(R12)
	MOVOU X0, (STREAM+112)(R12)

none:
	RET

// Adds the product of a and b to X2 (low), X3 (middle) and X4 (high). a is
// lost, X5 and X6 are scratch.
#define MULTIPLY(a, b) \
	MOVO      a, X5;         \
	PCLMULQDQ $0x00, b, X5;  \
	PXOR      X5, X2;        \
	MOVO      a, X6;         \
	PCLMULQDQ $0x11, b, X6;  \
	PXOR      X6, X4;        \
	MOVO      a, X5;         \
	PCLMULQDQ $0x10, b, X5;  \
	PXOR      X5, X3;        \
	PCLMULQDQ $0x01, b, a;   \
	PXOR      a, X3

// Divides the sum in X2 to X4 by x^128, which gives an element. Twice the low
// half of the low element, times the polynomial, is added: it vanishes, and
// what is left moves down by 64. The middle is split between low and high
// first. X7 has the polynomial, X5 is scratch, the result is in X4.
#define REDUCE() \
	MOVO      X3, X5;        \
	PSLLO     $8, X5;        \
	PSRLO     $8, X3;        \
	PXOR      X5, X2;        \
	PXOR      X3, X4;        \
	MOVO      X2, X5;        \
	PCLMULQDQ $0x10, X7, X5; \
	PSHUFD    $0x4e, X2, X2; \
	PXOR      X5, X2;        \
	MOVO      X2, X5;        \
	PCLMULQDQ $0x10, X7, X5; \
	PSHUFD    $0x4e, X2, X2; \
	PXOR      X5, X2;        \
	PXOR      X2, X4

#define ZERO() \
	PXOR X2, X2; \
	PXOR X3, X3; \
	PXOR X4, X4

// hash adds R13 octets at SI, padded with zeros to whole blocks, and R9 more
// blocks, 0 or 1, which is in X9, to the POLYVAL in X4. X7 has the polynomial.
//
// Up to four blocks are multiplied by falling powers of the key and reduced
// together; the sum so far goes into the first of them.
TEXT hash<>(SB), NOSPLIT, $0
	MOVQ  R13, R8
	SHRQ  $4, R8
	MOVQ  R13, R11
	ANDQ  $15, R11
	JEQ   whole
	MOVQ  R13, R10
	ANDQ  $~15, R10
	ADDQ  SI, R10
	CALL  load<>(SB)
	MOVOU X0, EXTRA(R12)
	MOVOU X9, (EXTRA+16)(R12)
	ADDQ  $1, R9
	JMP   start

whole:
	MOVOU X9, EXTRA(R12)

start:
	LEAQ (R8)(R9*1), CX
	TESTQ CX, CX
	JEQ  done

batch:
	MOVQ    CX, DX
	MOVQ    $4, BX
	CMPQ    DX, BX
	CMOVQGT BX, DX
	SUBQ    DX, CX
	SHLQ    $4, DX         // of the power behind the one to use
	MOVO    X4, X0
	ZERO()

term:
	TESTQ R8, R8
	JNE   next
	LEAQ  EXTRA(R12), SI   // once: R8 goes on to -1

next:
	SUBQ  $1, R8
	MOVOU (SI), X1
	MOVOU (POWERS-16)(R12)(DX*1), X8
	ADDQ  $16, SI
	PXOR  X1, X0
	MULTIPLY(X0, X8)
	PXOR  X0, X0
	SUBQ  $16, DX
	JNE   term
	REDUCE()
	TESTQ CX, CX
	JNE   batch

done:
	RET

#define ROUND4(op, offset) \
	MOVOU offset(AX), X8; \
	op X8, X0; \
	op X8, X1; \
	op X8, X2; \
	op X8, X3

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
	ROUND4(PXOR, 0)
	ROUND4(AESENC, 16)
	ROUND4(AESENC, 32)
	ROUND4(AESENC, 48)
	ROUND4(AESENC, 64)
	ROUND4(AESENC, 80)
	ROUND4(AESENC, 96)
	ROUND4(AESENC, 112)
	ROUND4(AESENC, 128)
	ROUND4(AESENC, 144)
	ROUND4(AESENCLAST, 160)
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

// lengths makes X9 the block of the lengths R9 and R13, in octets.
#define LENGTHS() \
	SHLQ   $3, R9; \
	MOVQ   R9, X9; \
	MOVQ   R13, R9; \
	SHLQ   $3, R9; \
	PINSRQ $1, R9, X9; \
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
	XORL  R9, R9
	CALL  hash<>(SB)
	MOVQ  out_base+8(FP), SI
	MOVQ  ad_len+88(FP), R9
	MOVQ  sealed_len+64(FP), R13
	SUBQ  $16, R13
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
