//go:build !purego

#include "textflag.h"

// x^127 + x^126 + x^121 of POLYVAL's polynomial in the high half.
DATA poly<>+0(SB)/8, $1
DATA poly<>+8(SB)/8, $0xc200000000000000
GLOBL poly<>(SB), RODATA|NOPTR, $16

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

// Divides the sum in X2 to X4 by x^128, which gives an element: twice the low
// half times the polynomial is added, so that the low half is zero, and what
// is above it moves down (RFC 8452, appendix A has the arithmetic). X7 has the
// polynomial, X5 is scratch, the result is in X4.
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

// func polyvalPowers(h *hashKey)
TEXT ·polyvalPowers(SB), NOSPLIT, $0-8
	MOVQ  h+0(FP), AX
	MOVOU poly<>(SB), X7
	MOVOU (AX), X8
	MOVO  X8, X0
	ZERO()
	MULTIPLY(X0, X8)
	REDUCE()
	MOVOU X4, 16(AX)
	MOVO  X4, X9
	MOVO  X4, X0
	ZERO()
	MULTIPLY(X0, X8)
	REDUCE()
	MOVOU X4, 32(AX)
	MOVO  X9, X0
	ZERO()
	MULTIPLY(X0, X9)
	REDUCE()
	MOVOU X4, 48(AX)
	PXOR  X0, X0
	ZERO()
	PXOR  X5, X5
	PXOR  X6, X6
	PXOR  X8, X8
	PXOR  X9, X9
	RET

// Up to four blocks are multiplied by falling powers of the key and reduced
// together; the sum so far goes into the first of them. Blocks are loaded in
// halves because one move of an extra block, whose halves have just been
// stored, would have to wait for both stores.
//
// func polyvalBlocks(h *hashKey, x *block, p *byte, blocks, extra int, e0, e1, e2, e3 uint64)
TEXT ·polyvalBlocks(SB), NOSPLIT, $0-72
	MOVQ  h+0(FP), AX
	MOVQ  x+8(FP), DI
	MOVQ  p+16(FP), SI
	MOVQ  blocks+24(FP), R8
	MOVQ  extra+32(FP), CX
	MOVOU poly<>(SB), X7
	MOVOU (DI), X4
	ADDQ  R8, CX
	JEQ   done

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
	JNE   load
	LEAQ  e0+40(FP), SI    // once: R8 goes on to -1

load:
	SUBQ   $1, R8
	MOVQ   (SI), X1
	MOVHPS 8(SI), X1
	MOVOU  -16(AX)(DX*1), X8
	ADDQ   $16, SI
	PXOR   X1, X0
	MULTIPLY(X0, X8)
	PXOR   X0, X0
	SUBQ   $16, DX
	JNE    term
	REDUCE()
	TESTQ  CX, CX
	JNE    batch
	MOVOU  X4, (DI)

done:
	PXOR X0, X0
	PXOR X1, X1
	ZERO()
	PXOR X5, X5
	PXOR X6, X6
	PXOR X8, X8
	RET
