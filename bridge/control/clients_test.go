package control

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"reflect"
	"strings"
	"testing"

	"github.com/hashicorp/go-hclog"

	"ntsbridge/bridge/fleet/inventory"
	"ntsbridge/bridge/fleet/report"
	"ntsbridge/bridge/fleet/store"
)

// kept is an inventory of records only.
func kept(n int) (Inventory, []inventory.Stored) {
	var list []inventory.Stored
	for i := range n {
		list = append(list, inventory.Stored{Key: inventory.Key{15: byte(i), 16: 128}, Record: []byte{1, byte(i)}})
	}
	v := Inventory{Stream: func(context.Context, *report.Filter, func(*report.Row) error) error { return nil }}
	v.Export = func(_ context.Context, begin func([]store.Interval) error, emit func(inventory.Stored) error) error {
		err := begin([]store.Interval{{Start: 5, End: 7}})
		for i := range list {
			if err == nil {
				err = emit(list[i])
			}
		}
		return err
	}
	v.Import = func(in []inventory.Stored) (int, error) { list = append(list, in...); return 0, nil }
	return v, list
}

// What is exported is what was there; an answer that is cut is an error, never a
// smaller inventory.
func TestExport(t *testing.T) {
	v, want := kept(500)
	c := heard(t, Sources{Inventory: v})
	var got []inventory.Stored
	watched, err := c.Export(context.Background(), func(s inventory.Stored) error {
		s.Record = bytes.Clone(s.Record)
		got = append(got, s)
		return nil
	})
	if err != nil || !reflect.DeepEqual(got, want) || len(watched) != 1 || watched[0].End != 7 {
		t.Fatalf("%d of %d, %v, %v", len(got), len(want), watched, err)
	}
	stop := errors.New("enough")
	if _, err := c.Export(context.Background(), func(inventory.Stored) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("%v", err)
	}
	cut := v
	cut.Export = func(_ context.Context, begin func([]store.Interval) error, emit func(inventory.Stored) error) error {
		return errors.Join(begin(nil), emit(want[0]), errors.New("lost"))
	}
	if _, err := heard(t, Sources{Inventory: cut}).Export(context.Background(), func(inventory.Stored) error { return nil }); err == nil {
		t.Error("a part was taken for the whole")
	}
	if _, err := heard(t, Sources{}).Export(context.Background(), nil); !errors.Is(err, ErrNoInventory) {
		t.Errorf("without an inventory: %v", err)
	}
}

// FuzzInventoryAPI asks the local API about clients: any query, any body. An answer
// is one that a program can read, whatever was asked.
func FuzzInventoryAPI(f *testing.F) {
	filter := report.Filter{Kinds: []string{"none"}, Keys: []uint32{5}, Labels: []string{"fra"}, LegacyOnly: true, Sort: "last", Limit: 3}
	f.Add(pathClients, filter.Values().Encode()+"&format=csv", []byte(nil))
	f.Add(pathClients, "prefix=192.0.2.0/24&since=24h&silent_for=1h&address=2001:db8::1&format=ansible", []byte(nil))
	f.Add(pathSummary, "by=24,48", []byte(nil))
	f.Add(pathKeys, "", []byte(nil))
	_, list := kept(2)
	body, _ := json.Marshal(list)
	f.Add(pathImport, "", body)
	f.Add(pathImport, "", []byte(`[{"key":[1],"record":"AQ=="}]`))
	f.Add(pathImport, "", []byte(nil))
	v, _ := kept(2)
	v.Stream = func(_ context.Context, q *report.Filter, emit func(*report.Row) error) error {
		if err := q.Check(); err != nil {
			return fmt.Errorf("an unchecked filter: %w", err)
		}
		return emit(&report.Row{Address: "192.0.2.1", Means: []report.Means{{Kind: "none"}}})
	}
	v.Keys = func(context.Context) ([]*report.Key, error) { return []*report.Key{}, nil }
	v.Summary = func(_ context.Context, by string) (*report.Summary, error) { return &report.Summary{}, nil }
	v.Import = func(in []inventory.Stored) (int, error) {
		table, err := inventory.New(inventory.Options{Capacity: 100, Seed: [2]uint64{1, 2}})
		for i := range in {
			if err == nil {
				_, err = table.Merge(in[i].Key, in[i].Record)
			}
		}
		return 0, err
	}
	mux := newAPI(v.routes(), hclog.NewNullLogger())
	f.Fuzz(func(t *testing.T, path, query string, body []byte) {
		if path != pathClients && path != pathKeys && path != pathSummary && path != pathImport {
			return
		}
		method := http.MethodGet
		if len(body) > 0 {
			method = http.MethodPost
		}
		r := httptest.NewRequest(method, path, strings.NewReader(string(body)))
		r.URL = &url.URL{Path: path, RawQuery: query}
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, r)
		if w.Code == http.StatusInternalServerError {
			t.Fatalf("%s %s?%s: %d %s", method, path, query, w.Code, w.Body)
		}
		if strings.HasPrefix(w.Header().Get("Content-Type"), "application/json") && !json.Valid(w.Body.Bytes()) {
			t.Fatalf("%s %s?%s: no JSON: %s", method, path, query, w.Body)
		}
	})
}
