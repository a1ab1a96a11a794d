package main

import (
	"bytes"
	"testing"

	"github.com/hashicorp/go-hclog"
)

// Each line that goes to the journal tells its priority, whatever its format.
func TestPriorities(t *testing.T) {
	for _, json := range []bool{false, true} {
		var b bytes.Buffer
		log := hclog.New(&hclog.LoggerOptions{Output: prioritised{&b}, Level: hclog.Debug, JSONFormat: json})
		for level, want := range map[hclog.Level]string{hclog.Debug: "<7>", hclog.Info: "<6>", hclog.Warn: "<4>", hclog.Error: "<3>"} {
			b.Reset()
			log.Log(level, "one\ntwo", "key", "a\nb")
			for line := range bytes.Lines(b.Bytes()) {
				if !bytes.HasPrefix(line, []byte(want)) {
					t.Errorf("%v, JSON %v: %q does not begin with %s", level, json, line, want)
				}
			}
			if b.Len() == 0 {
				t.Errorf("%v: nothing", level)
			}
		}
	}
	var b bytes.Buffer
	if _, err := (prioritised{&b}).Write([]byte("ntsbridge: a\nb\n")); err != nil || b.String() != "<3>ntsbridge: a\n<3>b\n" {
		t.Errorf("%q, %v", b.String(), err)
	}
}
