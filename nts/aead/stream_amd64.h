// Counter mode, for gcmsiv_amd64.s: R12 points to the memory of the call.

// One in the first word.
DATA one<>+0(SB)/8, $1
DATA one<>+8(SB)/8, $0
GLOBL one<>(SB), RODATA|NOPTR, $16

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

#define ROUND4(op) \
	op X8, X0; \
	op X8, X1; \
	op X8, X2; \
	op X8, X3

#define ROUND8(op) \
	ROUND4(op); \
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
// At most 64 octets take four blocks of key stream, others as often eight as
// needed. DI may be anywhere around SI: eight blocks are worked on at a time, and
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
	MOVQ  AX, R10
	LEAQ  -1(BX), R11
	MOVOU (AX), X8
	CMPQ  R13, $64
	JLE   four
	COUNT(X4)
	COUNT(X5)
	COUNT(X6)
	COUNT(X7)
	PADDL X10, X9
	ROUND8(PXOR)

round:
	ADDQ  $16, R10
	MOVOU (R10), X8
	ROUND8(AESENC)
	SUBQ  $1, R11
	JNE   round
	MOVOU 16(R10), X8
	ROUND8(AESENCLAST)
	MOVOU X4, (STREAM+64)(R12)
	MOVOU X5, (STREAM+80)(R12)
	MOVOU X6, (STREAM+96)(R12)
	MOVOU X7, (STREAM+112)(R12)

ready:
	MOVOU X0, (STREAM+0)(R12)
	MOVOU X1, (STREAM+16)(R12)
	MOVOU X2, (STREAM+32)(R12)
	MOVOU X3, (STREAM+48)(R12)
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
	CMPQ  R13, $64
	JLE   none
	MOVOU X0, (STREAM+64)(R12)
	MOVOU X0, (STREAM+80)(R12)
	MOVOU X0, (STREAM+96)(R12)
	MOVOU X0, (STREAM+112)(R12)

none:
	RET

four:
	ROUND4(PXOR)

fourRound:
	ADDQ  $16, R10
	MOVOU (R10), X8
	ROUND4(AESENC)
	SUBQ  $1, R11
	JNE   fourRound
	MOVOU 16(R10), X8
	ROUND4(AESENCLAST)
	JMP   ready
