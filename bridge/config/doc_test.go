package config

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"ntsbridge/bridge/access"
	"ntsbridge/bridge/ntp"
)

const docDir = "../../configs"

// documented is what the README must say about an option.
type documented struct{ option, value, unit, limits string }

// options returns what there is to document. The items of a list stand as
// "list[].option"; access.default has the options of access.rules[].
func options() []documented {
	var all []documented
	c := Default()
	c.Access.Rules = []AccessRule{defaultRule()}
	c.RateLimit.Limits = []Limit{defaultLimit("")}
	c.Sources = []Source{defaultSource()}
	c.ReferenceClocks = []ReferenceClock{defaultReferenceClock()}
	c.Broadcast = []Broadcast{defaultBroadcast()}
	c.Keys.Files = []KeyFile{{Format: "auto"}}
	c.NTS.Certificates = []Certificate{{}}
	c.Fleet.Etcd.Gateways = []Gateway{{}}
	walk(reflect.ValueOf(c).Elem(), "", func(f field, v reflect.Value) {
		if !strings.HasPrefix(f.path, "access.default.") {
			all = append(all, documented{strings.ReplaceAll(f.path, "[0]", "[]"), defaultOf(f, v), unitOf(f), rangeOf(f)})
		}
	})
	return all
}

func defaultOf(f field, v reflect.Value) string {
	switch {
	case f.tag.Get("required") != "":
		return "required"
	case f.path == "rate_limit.limits":
		return "one, `default`"
	case f.typ.Kind() == reflect.Slice && f.typ.Elem().Kind() == reflect.Struct && !isScalar(f.typ.Elem()):
		return "empty"
	case v.IsZero() && (f.typ.Kind() == reflect.Slice || f.typ.Kind() == reflect.String || isTime(f.typ) || isAddress(f.typ) ||
		f.typ == reflect.TypeFor[RefID]()):
		return "empty"
	case f.typ.Kind() == reflect.Slice:
		return "`" + strings.Trim(format(v), "[]") + "`"
	}
	return "`" + format(v) + "`"
}

func isTime(t reflect.Type) bool { return t == reflect.TypeFor[time.Time]() }

func isAddress(t reflect.Type) bool { return t == reflect.TypeFor[netip.Addr]() }

// typeDocs are unit and range of what has a syntax of its own.
var typeDocs = map[reflect.Type][2]string{
	reflect.TypeFor[time.Time]():       {"date", "2006-01-02 or RFC 3339"},
	reflect.TypeFor[netip.Prefix]():    {"network", "IPv4 or IPv6, host bits zero"},
	reflect.TypeFor[netip.Addr]():      {"address", "IPv4 or IPv6"},
	reflect.TypeFor[netip.AddrPort]():  {"address and port", "port 1 to 65535"},
	reflect.TypeFor[Listen]():          {"address, interface or network and port", "port 1 to 65535"},
	reflect.TypeFor[access.KeyRange](): {"key identifier", "1 to 4294967295, ranges, `all`"},
	reflect.TypeFor[ntp.Kind]():        {"kind", "none, symmetric, autokey, nts"},
	reflect.TypeFor[RefID]():           {"identifier", "1 to 4 letters, or IPv4"},
	reflect.TypeFor[AEAD]():            {"algorithm", "the four of the default"},
	reflect.TypeFor[string]():          {"text", "any"},
}

func scalarOf(t reflect.Type) reflect.Type {
	if t.Kind() == reflect.Slice {
		return t.Elem()
	}
	return t
}

func unitOf(f field) string {
	switch {
	case f.tag.Get("unit") != "":
		return f.tag.Get("unit")
	case f.tag.Get("path") == "dir":
		return "directory"
	case f.tag.Get("path") != "":
		return "file"
	case f.tag.Get("oneof") != "":
		return "word"
	case f.typ.Kind() == reflect.Bool:
		return "switch"
	}
	if d, ok := typeDocs[scalarOf(f.typ)]; ok {
		return d[0]
	}
	return "section"
}

func rangeOf(f field) string {
	low, high, ok := strings.Cut(f.tag.Get("range"), "..")
	switch {
	case ok:
		return low + " to " + high
	case f.tag.Get("oneof") != "":
		return strings.Join(words(f.tag), ", ")
	case f.tag.Get("path") != "":
		return "path"
	case f.typ.Kind() == reflect.Bool:
		return "true, false"
	}
	if d, ok := typeDocs[scalarOf(f.typ)]; ok {
		return d[1]
	}
	return "see below"
}

// Every option stands in the README once, with default, unit, range and a
// meaning; and nothing stands there that is no option.
func TestReadmeDocumentsEveryOption(t *testing.T) {
	readme, err := os.ReadFile(filepath.Join(docDir, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	rows := make(map[string][]string)
	for _, m := range regexp.MustCompile("(?m)^\\| `([a-z_.0-9\\[\\]]+)` \\|(.*)\\|$").FindAllStringSubmatch(string(readme), -1) {
		if strings.Count(m[2], "|") < 3 {
			continue // of another table
		}
		if rows[m[1]] != nil {
			t.Errorf("%s is there twice", m[1])
		}
		for cell := range strings.SplitSeq(m[2], "|") {
			rows[m[1]] = append(rows[m[1]], strings.TrimSpace(cell))
		}
	}
	for _, o := range options() {
		row := rows[o.option]
		delete(rows, o.option)
		want := fmt.Sprintf("| `%s` | %s | %s | %s |", o.option, o.value, o.unit, o.limits)
		if len(row) != 4 || row[0] != o.value || row[1] != o.unit || row[2] != o.limits || len(row[3]) < 10 {
			t.Errorf("README says %q, want\n%s meaning |", row, want)
		}
	}
	for option := range rows {
		t.Errorf("README has %s, which is no option", option)
	}
}

// The comment of every option in the code names the default and the range.
func TestCommentsNameDefaults(t *testing.T) {
	var source []byte
	for _, name := range []string{"config.go", "clock.go", "sources.go"} {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		source = append(source, text...)
	}
	fields := regexp.MustCompile(`((?:\t// .*\n)*)(?:\t\w+ .*\n)*?\t\w+ .*mapstructure:"(\w+)"(.*)`).FindAllStringSubmatch(string(source),
		-1)
	if len(fields) < 60 {
		t.Fatalf("only %d options found", len(fields))
	}
	for _, m := range fields {
		comment, name, tags := m[1], m[2], m[3]
		if comment == "" {
			continue // a section, which is documented with its type
		}
		if !strings.Contains(comment, "Default") && !strings.Contains(comment, "Required") &&
			!strings.Contains(comment, "must stay unset") && !strings.Contains(comment, "Defaults") {
			t.Errorf("%s: the comment names no default:\n%s", name, comment)
		}
		if strings.Contains(tags, "range:") && !strings.Contains(strings.ReplaceAll(comment, "\n\t// ", " "), "Range") {
			t.Errorf("%s: the comment names no range:\n%s", name, comment)
		}
	}
}

func readDoc(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(docDir, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// The reference file changes nothing.
func TestReferenceIsTheDefault(t *testing.T) {
	c := parse(t, readDoc(t, "reference.yaml"))
	if d := diff(Default(), c); d != "" {
		t.Errorf("reference.yaml is not the default (-default +file):\n%s", d)
	}
	for _, o := range options() {
		if strings.Contains(o.option, "[].") || o.value == "empty" && o.unit != "section" {
			continue // must be in the examples of the file, see below
		}
		if !c.Has(o.option) {
			t.Errorf("reference.yaml has no %s", o.option)
		}
	}
}

// The lines of the reference file that are commented out ("#" without a blank)
// are valid options too: together with the others they name every option.
func TestReferenceExamples(t *testing.T) {
	text := readDoc(t, "reference.yaml")
	var lines []string
	seen := make(map[string]bool)
	for line := range strings.SplitSeq(text, "\n") {
		example := regexp.MustCompile(`^( *)#( *[-a-z_0-9]+.*)$`).FindStringSubmatch(line)
		if example == nil || strings.HasPrefix(example[2], " ") && !strings.HasPrefix(example[2], "  ") {
			lines = append(lines, line)
			continue
		}
		line = example[1] + example[2]
		if key, _, ok := strings.Cut(line, ":"); ok && !strings.HasPrefix(strings.TrimSpace(key), "-") {
			// An example replaces the empty value above it.
			for i := len(lines) - 1; i >= 0 && !seen[key]; i-- {
				if strings.HasPrefix(lines[i], key+": []") {
					lines = append(lines[:i], lines[i+1:]...)
					break
				}
			}
		}
		lines = append(lines, line)
	}
	c, err := Parse("reference.yaml with examples", "/etc/ntsbridge", []byte(strings.Join(lines, "\n")))
	if err != nil {
		t.Fatalf("%v\n%s", err, strings.Join(lines, "\n"))
	}
	for _, o := range options() {
		if strings.HasPrefix(o.option, "access.rules[].") || o.option == "rate_limit.limits[].name" {
			o.option = strings.Replace(o.option, "[]", "[0]", 1)
		}
		shown := false
		for _, item := range []string{"[0]", "[1]", "[2]", "[3]"} {
			if c.Has(strings.ReplaceAll(o.option, "[]", item)) {
				shown = true
			}
		}
		if !shown {
			t.Errorf("reference.yaml has no example of %s", o.option)
		}
	}
}

func TestExamplesAreValid(t *testing.T) {
	names, err := filepath.Glob(filepath.Join(docDir, "*.yaml"))
	if err != nil || len(names) < 4 {
		t.Fatalf("%v, %v", names, err)
	}
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		c, err := Parse(name, filepath.Dir(name), text)
		if err != nil {
			t.Error(err)
			continue
		}
		if _, err := c.AccessTable(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
