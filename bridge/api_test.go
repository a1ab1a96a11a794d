package bridge

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"ntsbridge/bridge/config"
)

// socketClient asks the API on the control socket.
func socketClient(cfg *config.Config) *http.Client {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", cfg.Control.Socket)
	}
	return &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: dial}}
}

// described is the description of the API, as far as it is compared.
type described struct {
	Paths map[string]map[string]struct {
		Responses map[string]struct {
			Content map[string]struct {
				Schema json.RawMessage `json:"schema"`
			} `json:"content"`
		} `json:"responses"`
	} `json:"paths"`
}

// strict refuses what a schema does not name.
func strict(v any) {
	switch v := v.(type) {
	case map[string]any:
		if v["properties"] != nil {
			v["additionalProperties"] = false
		}
		for _, x := range v {
			strict(x)
		}
	case []any:
		for _, x := range v {
			strict(x)
		}
	}
}

// What a running daemon answers is what the description says, with no field
// more or less; what it does not name is not there.
func TestDescriptionIsTrue(t *testing.T) {
	cfg := testConfig(t, t.TempDir())
	cfg.Fleet.Enabled = true
	cfg.Sources = []config.Source{{Mode: config.ModeClient, Server: "127.0.0.1", Port: 9, MinPoll: 6, MaxPoll: 10, Version: 4,
		Family: "any", MaxDelay: time.Second}}
	b := startBridge(t, cfg)
	defer b.Close()
	exchange(t, b, plainRequest())
	c := socketClient(cfg)
	get := func(path string) (int, string, []byte) {
		t.Helper()
		resp, err := c.Get("http://ntsbridge" + path)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		kind, _, _ := strings.Cut(resp.Header.Get("Content-Type"), ";")
		return resp.StatusCode, kind, body
	}
	_, _, text := get("/v1/openapi.json")
	var d described
	if err := json.Unmarshal(text, &d); err != nil {
		t.Fatal(err)
	}
	whole, err := jsonschema.UnmarshalJSON(strings.NewReader(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	strict(whole.(map[string]any)["components"].(map[string]any)["schemas"])
	compiler := jsonschema.NewCompiler()
	compiler.DefaultDraft(jsonschema.Draft2020)
	if err := compiler.AddResource("api.json", whole); err != nil {
		t.Fatal(err)
	}
	escape := strings.NewReplacer("~", "~0", "/", "~1")
	check := func(path, status, kind string, body []byte) {
		t.Helper()
		at := "api.json#/paths/" + escape.Replace(path) + "/get/responses/" + status + "/content/" + escape.Replace(kind) + "/schema"
		s, err := compiler.Compile(at)
		if err != nil {
			t.Errorf("%s: %v", path, err)
			return
		}
		v, err := jsonschema.UnmarshalJSON(strings.NewReader(string(body)))
		if err == nil {
			err = s.Validate(v)
		}
		if err != nil {
			t.Errorf("%s: %v\n%.600s", path, err, body)
		}
	}
	asked := 0
	for path, methods := range d.Paths {
		if _, ok := methods["get"]; !ok {
			continue
		}
		status, kind, body := get(path)
		asked++
		switch {
		case status == http.StatusOK && kind == "application/json" && path != "/v1/openapi.json":
			check(path, "200", kind, body)
		case kind == "application/problem+json":
			check(path, "default", kind, body)
		case status != http.StatusOK:
			t.Errorf("%s: %d %s %s", path, status, kind, body)
		}
	}
	if asked < 14 {
		t.Errorf("only %d endpoints are described", asked)
	}
	status, kind, body := get("/v1/nothing")
	if status != http.StatusNotFound || kind != "application/problem+json" {
		t.Errorf("%d %s", status, kind)
	}
	check("/v1/status", "default", kind, body)
}
