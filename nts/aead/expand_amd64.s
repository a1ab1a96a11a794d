//go:build !purego

#include "textflag.h"

// Unaligned moves and clearing of registers are as in siv_amd64.s.

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

// AESENCLAST over a register whose four words are the same is SubWord, since
// ShiftRows then moves nothing; its key adds Rcon. AESKEYGENASSIST does the
// same, but is microcoded and slow on many processors.

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

// func expand128(keys *[15]block, key *byte)
TEXT ·expand128(SB), NOSPLIT, $0-16
	MOVQ  keys+0(FP), AX
	MOVQ  key+8(FP), BX
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

// func expand192(keys *[15]block, key *byte)
TEXT ·expand192(SB), NOSPLIT, $0-16
	MOVQ  keys+0(FP), AX
	MOVQ  key+8(FP), BX
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

// func expand256(keys *[15]block, key *byte)
TEXT ·expand256(SB), NOSPLIT, $0-16
	MOVQ  keys+0(FP), AX
	MOVQ  key+8(FP), BX
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
