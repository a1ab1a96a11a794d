// POLYVAL, for gcmsiv_amd64.s: R12 points to the memory of the call.

// POLYVAL's polynomial without x^128: x^127 + x^126 + x^121 + 1.
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
// together. The sum so far belongs to the first of them, but is multiplied
// last, so that only it has to be waited for.
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
	MOVOU   (POWERS-16)(R12)(DX*1), X10
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
	MULTIPLY(X1, X8)
	SUBQ  $16, DX
	JNE   term
	MULTIPLY(X0, X10)
	REDUCE()
	TESTQ CX, CX
	JNE   batch

done:
	RET
