//go:build !purego

#include "go_asm.h"
#include "textflag.h"

// Memory is read and written with unaligned moves throughout: neither packets
// nor Keys are aligned to 16 octets. Registers that held keys, key stream or
// plaintext are cleared at the end.

#define CLEAR() \
	PXOR X0, X0; \
	PXOR X1, X1; \
	PXOR X2, X2; \
	PXOR X3, X3; \
	PXOR X4, X4; \
	PXOR X5, X5; \
	PXOR X6, X6; \
	PXOR X7, X7; \
	PXOR X8, X8; \
	PXOR X9, X9; \
	PXOR X10, X10; \
	PXOR X11, X11; \
	PXOR X12, X12; \
	PXOR X13, X13; \
	PXOR X14, X14; \
	PXOR X15, X15

// The chain in X0 carries the first round key already added, so that one
// addition a block is enough: X10, the last round key, has it added too.
// X1 to X9 are the nine round keys before the last, X11 to X14 the two or four
// between the first and these in longer keys.
//
// func cbcMAC(r *roundKeys, x *block, p *byte, blocks int, hi, lo uint64)
TEXT ·cbcMAC(SB), NOSPLIT, $0-48
	MOVQ  r+0(FP), AX
	MOVQ  x+8(FP), DI
	MOVQ  p+16(FP), SI
	MOVQ  blocks+24(FP), CX
	MOVQ  roundKeys_rounds(AX), DX
	MOVQ  DX, BX
	SHLQ  $4, BX
	ADDQ  AX, BX           // the last round key
	MOVOU (AX), X15
	MOVOU (DI), X0
	PXOR  X15, X0
	MOVOU -144(BX), X1
	MOVOU -128(BX), X2
	MOVOU -112(BX), X3
	MOVOU -96(BX), X4
	MOVOU -80(BX), X5
	MOVOU -64(BX), X6
	MOVOU -48(BX), X7
	MOVOU -32(BX), X8
	MOVOU -16(BX), X9
	MOVOU (BX), X10
	PXOR  X15, X10
	CMPQ  DX, $10
	JEQ   next
	MOVOU 16(AX), X11
	MOVOU 32(AX), X12
	CMPQ  DX, $12
	JEQ   next
	MOVOU 48(AX), X13
	MOVOU 64(AX), X14

next:
	SUBQ  $1, CX
	JLT   last
	MOVOU (SI), X15
	ADDQ  $16, SI

encrypt:
	PXOR   X15, X0
	CMPQ   DX, $10
	JEQ    ten
	AESENC X11, X0
	AESENC X12, X0
	CMPQ   DX, $12
	JEQ    ten
	AESENC X13, X0
	AESENC X14, X0

ten:
	AESENC     X1, X0
	AESENC     X2, X0
	AESENC     X3, X0
	AESENC     X4, X0
	AESENC     X5, X0
	AESENC     X6, X0
	AESENC     X7, X0
	AESENC     X8, X0
	AESENC     X9, X0
	AESENCLAST X10, X0
	CMPQ       CX, $0
	JGE        next

	// CX is -1 behind the last block of all.
	MOVOU (AX), X15
	PXOR  X15, X0
	MOVOU X0, (DI)
	CLEAR()
	RET

last:
	// The halves come from the stack one by one: one move of both would have
	// to wait for two stores.
	MOVQ   hi+32(FP), R8
	MOVQ   lo+40(FP), R9
	BSWAPQ R8
	BSWAPQ R9
	MOVQ   R8, X15
	PINSRQ $1, R9, X15
	JMP    encrypt
