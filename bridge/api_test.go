package bridge

import (
	"bufio"
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
	"ntsbridge/bridge/control/events"
	"ntsbridge/bridge/fleet/migration"
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
		if _, ok := methods["get"]; !ok || path == "/v1/events" { // which has no end
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
	b.reloaded(nil)
	data := firstEvent(t, c, "0")
	check("/v1/events", "200", "text/event-stream", data)
}

// firstEvent returns the first event behind an identifier.
func firstEvent(t *testing.T, c *http.Client, after string) []byte {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://ntsbridge/v1/events", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Last-Event-ID", after)
	resp, err := c.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	in := bufio.NewScanner(resp.Body)
	for in.Scan() {
		if data, ok := strings.CutPrefix(in.Text(), "data: "); ok {
			return []byte(data)
		}
	}
	t.Fatalf("no event: %d, %v", resp.StatusCode, in.Err())
	return nil
}

// A daemon that is stopped does not wait for who listens, and what happened is
// told to who comes back.
func TestEventsOfADaemon(t *testing.T) {
	cfg := testConfig(t, t.TempDir())
	cfg.Fleet.Enabled = true
	b := startBridge(t, cfg)
	c := socketClient(cfg)
	plan := "groups: [{name: fra, prefixes: [192.0.2.0/24], stages: {none: refuse}}]"
	q := &migration.Request{Do: migration.Apply, Name: "fleet.yaml", Plan: plan}
	if _, err := b.migration.Ask(time.Now(), "user 0", q); err != nil {
		t.Fatal(err)
	}
	var e events.Event
	if err := json.Unmarshal(firstEvent(t, c, "0"), &e); err != nil || e.Kind != events.Stage || e.What != "declared" || e.By != "user 0" {
		t.Errorf("%+v, %v", e, err)
	}
	if err := b.Reload(cfg); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(firstEvent(t, c, e.ID), &e); err != nil || e.Kind != events.Reload || e.What != "done" {
		t.Errorf("%+v, %v", e, err)
	}
	resp, err := c.Get("http://ntsbridge/v1/events")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if err := b.Close(); err != nil {
		t.Error(err)
	}
	if _, err := io.ReadAll(resp.Body); err != nil {
		t.Error(err)
	}
}
