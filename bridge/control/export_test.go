package control

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"ntsbridge/bridge/fleet/inventory"
)

// A record is written as encoding/json writes it, and read from any spelling.
func TestRecordsAsJSON(t *testing.T) {
	_, list := kept(5)
	for i := range list {
		want, err := json.Marshal(list[i])
		if err != nil {
			t.Fatal(err)
		}
		line := appendStored(nil, &list[i])
		if string(line) != string(want)+"\n" {
			t.Errorf("%s, want %s", line, want)
		}
		for _, spelt := range []string{string(want), strings.ReplaceAll(string(want), ":", " : ")} {
			var got inventory.Stored
			if err := parseStored([]byte(spelt), &got); err != nil || !reflect.DeepEqual(got, list[i]) {
				t.Errorf("%s: %v, %v", spelt, got, err)
			}
		}
		for n := range line[:len(line)-2] {
			if err := parseStored(line[:n], &inventory.Stored{}); err == nil {
				t.Errorf("a part of a line is taken: %s", line[:n])
			}
		}
	}
}
