//go:build !purego

#include "textflag.h"

// Memory is read and written with unaligned moves throughout: neither packets
// nor Keys are aligned to 16 octets. Registers that held keys, key stream or
// plaintext are cleared at the end.

// RotWord of the last word of a key, in every word (FIPS 197, section 5.2).
DATA rotLast<>+0(SB)/8, $0x0c0f0e0d0c0f0e0d
DATA rotLast<>+8(SB)/8, $0x0c0f0e0d0c0f0e0d
GLOBL rotLast<>(SB), RODATA|NOPTR, $16

// RotWord of the second word, in every word.
DATA rotSecond<>+0(SB)/8, $0x0407060504070605
DATA rotSecond<>+8(SB)/8, $0x0407060504070605
GLOBL rotSecond<>(SB), RODATA|NOPTR, $16

// Rcon[1] and Rcon[9] in every word.
DATA rcon1<>+0(SB)/8, $0x0000000100000001
DATA rcon1<>+8(SB)/8, $0x0000000100000001
GLOBL rcon1<>(SB), RODATA|NOPTR, $16
DATA rcon9<>+0(SB)/8, $0x0000001b0000001b
DATA rcon9<>+8(SB)/8, $0x0000001b0000001b
GLOBL rcon9<>(SB), RODATA|NOPTR, $16

// Reversal of a block.
DATA reverse<>+0(SB)/8, $0x08090a0b0c0d0e0f
DATA reverse<>+8(SB)/8, $0x0001020304050607
GLOBL reverse<>(SB), RODATA|NOPTR, $16

// One in the first word.
DATA one<>+0(SB)/8, $1
DATA one<>+8(SB)/8, $0
GLOBL one<>(SB), RODATA|NOPTR, $16

// AESENCLAST over a register whose four words are the same is SubWord, since
// ShiftRows then moves nothing; its key adds Rcon. It takes a third of the
// time of AESKEYGENASSIST.

// Every word of key becomes the sum of itself and those before it, plus t.
#define SPREAD(key, t, tmp) \
	MOVO  key, tmp; \
	PSLLO $4, tmp;  \
	PXOR  tmp, key; \
	MOVO  key, tmp; \
	PSLLO $8, tmp;  \
	PXOR  tmp, key; \
	PXOR  t, key

#define STEP128(offset) \
	MOVO       X0, X1; \
	PSHUFB     X3, X1; \
	AESENCLAST X4, X1; \
	PSLLL      $1, X4; \
	SPREAD(X0, X1, X2) \
	MOVOU      X0, offset(AX)

// func expand128(s *schedule, key *byte)
TEXT ·expand128(SB), NOSPLIT, $0-16
	MOVQ  s+0(FP), AX
	MOVQ  key+8(FP), BX
	MOVQ  $10, 240(AX)
	MOVOU rotLast<>(SB), X3
	MOVOU rcon1<>(SB), X4
	MOVOU (BX), X0
	MOVOU X0, (AX)
	STEP128(16)
	STEP128(32)
	STEP128(48)
	STEP128(64)
	STEP128(80)
	STEP128(96)
	STEP128(112)
	STEP128(128)
	MOVOU rcon9<>(SB), X4
	STEP128(144)
	STEP128(160)
	PXOR  X0, X0
	PXOR  X1, X1
	PXOR  X2, X2
	RET

// X0 has words 0 to 3 of six, X5 words 4 and 5.
#define STEP192(offset) \
	MOVO       X5, X1; \
	PSHUFB     X3, X1; \
	AESENCLAST X4, X1; \
	PSLLL      $1, X4; \
	SPREAD(X0, X1, X2) \
	MOVOU      X0, offset(AX)

#define STEP192END(offset) \
	MOVO   X5, X2;       \
	PSLLO  $4, X2;       \
	PXOR   X2, X5;       \
	PSHUFD $0xff, X0, X2; \
	PXOR   X2, X5;       \
	MOVQ   X5, (offset+16)(AX)

// func expand192(s *schedule, key *byte)
TEXT ·expand192(SB), NOSPLIT, $0-16
	MOVQ  s+0(FP), AX
	MOVQ  key+8(FP), BX
	MOVQ  $12, 240(AX)
	MOVOU rotSecond<>(SB), X3
	MOVOU rcon1<>(SB), X4
	MOVOU (BX), X0
	MOVQ  16(BX), X5
	MOVOU X0, (AX)
	MOVQ  X5, 16(AX)
	STEP192(24)
	STEP192END(24)
	STEP192(48)
	STEP192END(48)
	STEP192(72)
	STEP192END(72)
	STEP192(96)
	STEP192END(96)
	STEP192(120)
	STEP192END(120)
	STEP192(144)
	STEP192END(144)
	STEP192(168)
	STEP192END(168)
	STEP192(192)
	PXOR  X0, X0
	PXOR  X1, X1
	PXOR  X2, X2
	PXOR  X5, X5
	RET

// X0 and X5 are the two halves; the second is made without RotWord and Rcon.
#define STEP256(offset) \
	MOVO       X5, X1; \
	PSHUFB     X3, X1; \
	AESENCLAST X4, X1; \
	PSLLL      $1, X4; \
	SPREAD(X0, X1, X2) \
	MOVOU      X0, offset(AX)

#define STEP256END(offset) \
	PSHUFD     $0xff, X0, X1; \
	AESENCLAST X6, X1; \
	SPREAD(X5, X1, X2) \
	MOVOU      X5, (offset+16)(AX)

// func expand256(s *schedule, key *byte)
TEXT ·expand256(SB), NOSPLIT, $0-16
	MOVQ  s+0(FP), AX
	MOVQ  key+8(FP), BX
	MOVQ  $14, 240(AX)
	MOVOU rotLast<>(SB), X3
	MOVOU rcon1<>(SB), X4
	PXOR  X6, X6
	MOVOU (BX), X0
	MOVOU 16(BX), X5
	MOVOU X0, (AX)
	MOVOU X5, 16(AX)
	STEP256(32)
	STEP256END(32)
	STEP256(64)
	STEP256END(64)
	STEP256(96)
	STEP256END(96)
	STEP256(128)
	STEP256END(128)
	STEP256(160)
	STEP256END(160)
	STEP256(192)
	STEP256END(192)
	STEP256(224)
	PXOR  X0, X0
	PXOR  X1, X1
	PXOR  X2, X2
	PXOR  X5, X5
	RET

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
// func cbcMAC(s *schedule, x *block, p *byte, blocks int, hi, lo uint64)
TEXT ·cbcMAC(SB), NOSPLIT, $0-48
	MOVQ  s+0(FP), AX
	MOVQ  x+8(FP), DI
	MOVQ  p+16(FP), SI
	MOVQ  blocks+24(FP), CX
	MOVQ  240(AX), DX
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

#define ROUND(op) \
	op X8, X0; \
	op X8, X1; \
	op X8, X2; \
	op X8, X3; \
	op X8, X4; \
	op X8, X5; \
	op X8, X6; \
	op X8, X7

// Eight blocks in X0 to X7; AX has the schedule, BX one less than the rounds.
#define ENCRYPT8(loop) \
	MOVOU (AX), X8; \
	ROUND(PXOR); \
loop: \
	ADDQ  $16, AX; \
	MOVOU (AX), X8; \
	ROUND(AESENC); \
	SUBQ  $1, BX; \
	JNE   loop; \
	MOVOU 16(AX), X8; \
	ROUND(AESENCLAST); \
	MOVOU X0, 0(DI); \
	MOVOU X1, 16(DI); \
	MOVOU X2, 32(DI); \
	MOVOU X3, 48(DI); \
	MOVOU X4, 64(DI); \
	MOVOU X5, 80(DI); \
	MOVOU X6, 96(DI); \
	MOVOU X7, 112(DI)

// X0 to X7 become the counter in X9 and what follows it; X9 becomes the ninth.
#define COUNT8() \
	MOVO  X9, X0; \
	PADDL X11, X9; \
	MOVO  X9, X1; \
	PADDL X11, X9; \
	MOVO  X9, X2; \
	PADDL X11, X9; \
	MOVO  X9, X3; \
	PADDL X11, X9; \
	MOVO  X9, X4; \
	PADDL X11, X9; \
	MOVO  X9, X5; \
	PADDL X11, X9; \
	MOVO  X9, X6; \
	PADDL X11, X9; \
	MOVO  X9, X7; \
	PADDL X11, X9

#define CLEAR8() \
	PXOR X0, X0; \
	PXOR X1, X1; \
	PXOR X2, X2; \
	PXOR X3, X3; \
	PXOR X4, X4; \
	PXOR X5, X5; \
	PXOR X6, X6; \
	PXOR X7, X7; \
	PXOR X8, X8

// func stream8BE(s *schedule, out *[streamLen]byte, ctr *block)
TEXT ·stream8BE(SB), NOSPLIT, $0-24
	MOVQ   s+0(FP), AX
	MOVQ   out+8(FP), DI
	MOVQ   ctr+16(FP), SI
	MOVQ   240(AX), BX
	SUBQ   $1, BX
	MOVOU  reverse<>(SB), X10
	MOVOU  one<>(SB), X11
	MOVOU  (SI), X9
	PSHUFB X10, X9
	COUNT8()
	PSHUFB X10, X9
	MOVOU  X9, (SI)
	PSHUFB X10, X0
	PSHUFB X10, X1
	PSHUFB X10, X2
	PSHUFB X10, X3
	PSHUFB X10, X4
	PSHUFB X10, X5
	PSHUFB X10, X6
	PSHUFB X10, X7
	ENCRYPT8(loop)
	CLEAR8()
	RET

// func stream8LE(s *schedule, out *[streamLen]byte, ctr *block)
TEXT ·stream8LE(SB), NOSPLIT, $0-24
	MOVQ  s+0(FP), AX
	MOVQ  out+8(FP), DI
	MOVQ  ctr+16(FP), SI
	MOVQ  240(AX), BX
	SUBQ  $1, BX
	MOVOU one<>(SB), X11
	MOVOU (SI), X9
	COUNT8()
	MOVOU X9, (SI)
	ENCRYPT8(loop)
	CLEAR8()
	RET

#define ROUND4(op) \
	op X8, X0; \
	op X8, X1; \
	op X8, X2; \
	op X8, X3

// The first halves of the blocks of counters 0 and 1 make the authentication
// key, those of 2 and 3 the encryption key (RFC 8452, section 4).
//
// func deriveKeys(s *schedule, nonce *byte, auth, enc *block)
TEXT ·deriveKeys(SB), NOSPLIT, $0-32
	MOVQ   s+0(FP), AX
	MOVQ   nonce+8(FP), SI
	MOVQ   auth+16(FP), DI
	MOVQ   enc+24(FP), R8
	MOVQ   240(AX), BX
	SUBQ   $1, BX
	MOVOU  one<>(SB), X9
	MOVQ   (SI), X0
	MOVL   8(SI), R9
	PINSRD $2, R9, X0
	PSLLO  $4, X0
	MOVO   X0, X1
	PADDL  X9, X1
	MOVO   X1, X2
	PADDL  X9, X2
	MOVO   X2, X3
	PADDL  X9, X3
	MOVOU  (AX), X8
	ROUND4(PXOR)

loop:
	ADDQ       $16, AX
	MOVOU      (AX), X8
	ROUND4(AESENC)
	SUBQ       $1, BX
	JNE        loop
	MOVOU      16(AX), X8
	ROUND4(AESENCLAST)
	PUNPCKLQDQ X1, X0
	PUNPCKLQDQ X3, X2
	MOVOU      X0, (DI)
	MOVOU      X2, (R8)
	PXOR       X0, X0
	PXOR       X1, X1
	PXOR       X2, X2
	PXOR       X3, X3
	PXOR       X8, X8
	RET
