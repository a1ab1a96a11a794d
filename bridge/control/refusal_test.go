package control

import (
	"net/http"
	"strings"
	"testing"
)

// An error of several lines, as that of a shut gate, comes as such, and as a
// whole; what a terminal would obey does not.
func TestRefusalHasLines(t *testing.T) {
	long := strings.Repeat("x", 300)
	resp := &http.Response{StatusCode: http.StatusConflict, Header: http.Header{"Content-Type": {kindProblem}}}
	body := `{"type":"about:blank","detail":"a gate is shut:\nwatched: ` + long + `\nquiet_days: ` + long + `\u001b[2J"}`
	got := refusal(pathFleet, resp, []byte(body)).Error()
	if want := "a gate is shut:\nwatched: " + long + "\nquiet_days: " + long + "?[2J"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}
