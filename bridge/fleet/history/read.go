package history

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
)

// Verify reads a history and gives each entry to see, which may be nil. It
// returns the state of its end. The error names the first line that is wrong;
// ErrTorn, that the last one is not complete, with all before it given.
func Verify(r io.Reader, see func(*Entry) error) (End, error) {
	var end End
	in := bufio.NewReaderSize(r, 64<<10)
	for {
		line, err := readLine(in)
		switch {
		case errors.Is(err, io.EOF) && len(line) == 0:
			return end, nil
		case errors.Is(err, io.EOF):
			return end, fmt.Errorf("%w: %d octets after line %d", ErrTorn, len(line), end.Lines)
		case err != nil:
			return end, err
		}
		e, err := open(bytes.TrimSuffix(line, []byte("\n")), end.Lines+1, end.Hash)
		if err != nil {
			return end, err
		}
		end.Lines, end.Hash = e.Number, e.Hash
		end.Octets += int64(len(line))
		if see != nil {
			if err := see(e); err != nil {
				return end, err
			}
		}
	}
}

// End is where a history ends.
type End struct {
	Lines  uint64 `json:"lines"`
	Hash   string `json:"hash"`   // of the last line
	Octets int64  `json:"octets"` // of all whole lines
}

// readLine reads a line with its newline; io.EOF: without, or nothing.
func readLine(in *bufio.Reader) (line []byte, err error) {
	for {
		part, err := in.ReadSlice('\n')
		line = append(line, part...)
		if len(line) > maxLine {
			return nil, fmt.Errorf("%w: a line has more than %d octets", ErrBroken, maxLine)
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return line, err
		}
	}
}
