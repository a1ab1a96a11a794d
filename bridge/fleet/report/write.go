package report

import (
	"bufio"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// Formats are what a list of clients may be written as.
var Formats = []string{"table", "json", "csv", "ansible", "chrony", "detail"}

// Writer writes rows in a format, one after the other.
type Writer struct {
	to     io.Writer
	out    *bufio.Writer
	format string
	now    time.Time
	count  int
	buf    []byte
	csv    *csv.Writer
	rows   []*Row // of an Ansible inventory, which is written at once
	// gateways have a column each.
	gateways []string
}

// NewWriter begins a list. For json, indent puts each row on lines of its own.
func NewWriter(w io.Writer, format string, now time.Time) (*Writer, error) {
	if !slices.Contains(Formats, format) {
		return nil, fmt.Errorf("format %q is none of %s", format, strings.Join(Formats, ", "))
	}
	t := &Writer{to: w, out: bufio.NewWriterSize(w, 1<<16), format: format, now: now}
	switch format {
	case "table":
		_, _ = t.out.WriteString(TableHeader())
	case "chrony":
		_, _ = t.out.WriteString(ChronyHeader)
	case "json":
		_ = t.out.WriteByte('[')
	case "csv":
		t.csv = newCSV(t.out)
		_ = t.csv.Write(CSVHeader)
	}
	return t, nil
}

// Row writes one, and does not keep it.
func (t *Writer) Row(r *Row) (err error) {
	b := t.buf[:0]
	switch t.format {
	case "table":
		b = r.appendTable(b, t.now, t.gateways)
	case "chrony":
		b = r.AppendChrony(b, t.now)
	case "json":
		if t.count > 0 {
			b = append(b, ',')
		}
		b = r.AppendJSON(append(b, '\n'))
	case "csv":
		r.writeCSV(t.csv, t.gateways)
		err = t.csv.Error()
	case "ansible":
		t.rows = append(t.rows, r.Clone())
	case "detail":
		if t.count > 0 {
			b = append(b, '\n')
			_, _ = t.out.Write(b)
			b = b[:0]
		}
		err = WriteDetail(t.out, r, t.now)
	}
	t.count++
	t.buf = b
	if err == nil {
		_, err = t.out.Write(b)
	}
	return err
}

// Count returns how many rows were written.
func (t *Writer) Count() int { return t.count }

// Close ends the list.
func (t *Writer) Close() error {
	switch t.format {
	case "json":
		if t.count > 0 {
			_ = t.out.WriteByte('\n')
		}
		_, _ = t.out.WriteString("]\n")
	case "csv":
		t.csv.Flush()
	case "ansible":
		e := json.NewEncoder(t.out)
		e.SetIndent("", "  ")
		if err := e.Encode(Ansible(t.rows)); err != nil {
			return err
		}
	}
	return t.out.Flush()
}

func newCSV(w io.Writer) *csv.Writer { return csv.NewWriter(w) }
