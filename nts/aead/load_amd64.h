// load makes X0 of the R11 octets at R10, 1 to 15, and zeros. It reads nothing
// else. CX, DX and R10 are lost.
TEXT load<>(SB), NOSPLIT, $0
	CMPQ   R11, $8
	JLT    below8
	MOVQ   (R10), X0
	MOVQ   -8(R10)(R11*1), DX
	MOVQ   $15, CX
	SUBQ   R11, CX
	SHLQ   $3, CX
	SHRQ   CX, DX
	SHRQ   $8, DX          // apart: 64 at once would be 0
	PINSRQ $1, DX, X0
	XORL   DX, DX
	RET

below8:
	MOVQ R11, CX
	SHLQ $3, CX
	CMPQ R11, $4
	JLT  below4
	SUBQ $32, CX
	MOVL -4(R10)(R11*1), DX
	SHLQ CX, DX
	MOVL (R10), R10
	ORQ  R10, DX
	JMP  done

below4:
	MOVBLZX (R10), DX
	CMPQ    R11, $1
	JEQ     done
	SUBQ    $16, CX
	MOVWLZX -2(R10)(R11*1), R10
	SHLQ    CX, R10
	ORQ     R10, DX

done:
	MOVQ DX, X0
	XORL DX, DX
	XORL R10, R10
	RET
