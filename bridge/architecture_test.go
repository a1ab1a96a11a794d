package bridge_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"

	"ntsbridge/bridge/config"
	"ntsbridge/bridge/material"
)

// module is the name of this module.
const module = "ntsbridge"

// topLevel is all that the repository's top holds, beside dot files and what
// make build leaves in bin.
var topLevel = []string{
	"cmd", "autokey", "symkey", "nts", "bridge", "configs", "go.mod", "go.sum", "Makefile", "README.md", "bin",
}

// pureTrees are the directories whose packages take time, randomness and bytes
// as arguments.
var pureTrees = []string{"autokey", "symkey", "nts", "bridge/ntp", "bridge/config", "bridge/convert", "bridge/clock/discipline",
	"bridge/clock/sim", "bridge/clock/leap", "bridge/fleet/feed", "bridge/fleet/inventory",
	"bridge/fleet/plan", "bridge/fleet/stage", "bridge/fleet/steer", "bridge/fleet/silence",
	"bridge/fleet/gate", "bridge/fleet/kit", "bridge/fleet/audit", "bridge/fleet/simulate", "bridge/fleet/keyring"}

// testTrees are for tests alone, and for one another.
var testTrees = []string{"bridge/interop", "bridge/needs", "bridge/fleet/site/etcdtest"}

// authenticators never import one another, and of bridge only bridge/ntp.
var authenticators = []string{"autokey", "symkey", "nts"}

// impureImports are packages, with all below them, that a pure package must
// not import: sockets, the system, randomness, logs.
var impureImports = []string{
	"net", "os", "syscall", "runtime", "plugin", "crypto/rand", "crypto/tls", "log", "testing",
	"golang.org/x/net", "golang.org/x/sys/unix", "golang.org/x/sys/windows", "golang.org/x/sync",
	"github.com/hashicorp/go-hclog", "github.com/spf13", "github.com/prometheus", "go.etcd.io",
}

// pureImports are exceptions to impureImports.
var pureImports = []string{"net/netip"}

// clockReads are what a pure package must not use of package time.
var clockReads = []string{"Now", "Since", "Until", "After", "AfterFunc", "Tick", "NewTicker", "NewTimer", "Sleep"}

// breaches returns each breach of the rules of this repository's structure.
func breaches(tree fs.FS) ([]string, error) {
	var found []string
	entries, err := fs.ReadDir(tree, ".")
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), ".") && !slices.Contains(topLevel, e.Name()) {
			found = append(found, fmt.Sprintf("%s: not an entry of the top level", e.Name()))
		}
	}
	err = fs.WalkDir(tree, ".", func(name string, e fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case e.IsDir() && name != "." && (strings.HasPrefix(e.Name(), ".") || e.Name() == "testdata" || name == "bin"):
			return fs.SkipDir
		case e.IsDir() || path.Ext(name) != ".go":
			return nil
		}
		source, err := fs.ReadFile(tree, name)
		if err != nil {
			return err
		}
		f, err := parseSource(name, source)
		if err != nil {
			return err
		}
		found = append(found, f.breaches()...)
		return nil
	})
	return found, err
}

// source is a parsed file with its place in the repository.
type source struct {
	*ast.File
	files *token.FileSet
	dir   string // slash-separated, from the top
	test  bool
}

func parseSource(name string, text []byte) (source, error) {
	files := token.NewFileSet()
	f, err := parser.ParseFile(files, name, text, parser.SkipObjectResolution)
	return source{f, files, path.Dir(name), strings.HasSuffix(name, "_test.go")}, err
}

func (s source) breaches() []string {
	var found []string
	report := func(at ast.Node, format string, a ...any) {
		found = append(found, fmt.Sprintf("%s: %s", s.files.Position(at.Pos()), fmt.Sprintf(format, a...)))
	}
	for _, i := range s.Imports {
		imported, err := strconv.Unquote(i.Path.Value)
		if err != nil {
			report(i, "%v", err)
			continue
		}
		if rule := s.mayNotImport(imported); rule != "" {
			report(i, "imports %s: %s", imported, rule)
		}
	}
	if s.pure() {
		s.impurities(report)
	}
	if below(s.dir, "bridge/control") && !s.test {
		s.liveThings(report)
	}
	return found
}

// mayNotImport returns the rule against an import, or nothing.
func (s source) mayNotImport(imported string) string {
	ours, isOurs := strings.CutPrefix(imported, module+"/")
	switch {
	case s.pure() && belowAny(imported, impureImports) && !belowAny(imported, pureImports):
		return "a pure package takes time, randomness and bytes as arguments, and does no I/O"
	case !isOurs:
		return ""
	case ours == "bridge" && !below(s.dir, "cmd") && !(s.dir == "bridge" && s.test):
		return "only cmd imports the composition root"
	case below(ours, "cmd") && !below(s.dir, "cmd"):
		return "commands are not imported"
	case belowAny(ours, testTrees) && !s.test && !belowAny(s.dir, testTrees):
		return "it is for tests"
	case below(s.dir, "bridge/ntp") && !below(ours, "bridge/ntp"):
		return "bridge/ntp is a leaf"
	case below(ours, "bridge/association") && s.dir != "bridge" && !below(s.dir, "bridge/association"):
		return "only the composition root imports associations"
	case below(ours, "bridge/follow") && belowAny(s.dir, []string{"bridge/clock", "bridge/source", "bridge/server", "bridge/control"}):
		return "association imports follow, and follow imports clock, never back"
	case !belowAny(s.dir, authenticators):
		return ""
	case belowAny(ours, authenticators) && !below(ours, top(s.dir)):
		return "autokey, symkey and nts do not know one another"
	case below(ours, "bridge") && !below(ours, "bridge/ntp"):
		return "of bridge, an authenticator knows bridge/ntp only"
	}
	return ""
}

// pure tells whether the file is held to purity; tests are not.
func (s source) pure() bool { return !s.test && belowAny(s.dir, pureTrees) }

// impurities reports goroutines and reads of the clock.
func (s source) impurities(report func(ast.Node, string, ...any)) {
	clock := s.localName("time")
	if clock == "." {
		report(s.File, "imports time by a dot, which hides reads of the clock")
	}
	ast.Inspect(s.File, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.GoStmt:
			report(n, "starts a goroutine in a pure package")
		case *ast.SelectorExpr:
			if x, ok := n.X.(*ast.Ident); ok && x.Name == clock && slices.Contains(clockReads, n.Sel.Name) {
				report(n, "uses time.%s in a pure package: time is an argument", n.Sel.Name)
			}
		}
		return true
	})
}

// liveObjects run, or are what runs uses: by package, its types.
var liveObjects = map[string][]string{
	"bridge/server": {"Server", "State", "Listening"}, "bridge/nke": {"Server"}, "autokey": {"Server", "Credentials", "Client", "Peer"},
	"bridge/clock": {"Driver"}, "bridge/source": {"Client", "Peer", "NTS", "Hub", "BroadcastClient", "BroadcastServer"},
	"bridge/source/refclock": {"Clock"}, "nts": {"Server", "Ring", "Client"},
}

// liveThings reports uses of what runs: reports are made of values.
func (s source) liveThings(report func(ast.Node, string, ...any)) {
	for dir, types := range liveObjects {
		name := s.localName(module + "/" + dir)
		if name == "" {
			continue
		}
		ast.Inspect(s.File, func(n ast.Node) bool {
			if n, ok := n.(*ast.SelectorExpr); ok {
				if x, ok := n.X.(*ast.Ident); ok && x.Name == name && slices.Contains(types, n.Sel.Name) {
					report(n, "uses %s.%s: control holds no live object, it is given snapshots", x.Name, n.Sel.Name)
				}
			}
			return true
		})
	}
}

// localName returns the name under which the file knows an imported package,
// or nothing.
func (s source) localName(imported string) string {
	for _, i := range s.Imports {
		if i.Path.Value == strconv.Quote(imported) {
			if i.Name != nil {
				return i.Name.Name
			}
			return path.Base(imported)
		}
	}
	return ""
}

// below tells whether a path is root or in it.
func below(name, root string) bool {
	return name == root || strings.HasPrefix(name, root+"/")
}

func belowAny(name string, roots []string) bool {
	return slices.ContainsFunc(roots, func(root string) bool { return below(name, root) })
}

func top(name string) string {
	first, _, _ := strings.Cut(name, "/")
	return first
}

func TestArchitecture(t *testing.T) {
	found, err := breaches(os.DirFS(".."))
	if err != nil {
		t.Fatal(err)
	}
	for _, breach := range found {
		t.Error(breach)
	}
}

// Variables that change what tests do are told of in one place.
func TestVariablesAreDescribed(t *testing.T) {
	tree := os.DirFS("..")
	readme, err := fs.ReadFile(tree, "README.md")
	if err != nil {
		t.Fatal(err)
	}
	described := make(map[string]bool)
	variable := regexp.MustCompile(`NTSBRIDGE_[A-Z]+(_[A-Z]+)*`)
	for _, v := range variable.FindAllString(string(readme), -1) {
		described[v] = true
	}
	used, options := make(map[string]bool), make(map[string]bool) // those of options set options
	for _, option := range config.Options() {
		options[material.Variable(option)] = true
	}
	err = fs.WalkDir(tree, ".", func(name string, e fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case e.IsDir() && (name == "bin" || name == ".peers" || name == ".git"):
			return fs.SkipDir
		case !e.Type().IsRegular() || !slices.Contains([]string{".go", ".sh", ""}, path.Ext(name)):
			return nil
		}
		text, err := fs.ReadFile(tree, name)
		for _, v := range variable.FindAllString(string(text), -1) {
			used[v] = true
			if !described[v] && !options[v] {
				t.Errorf("%s: %s is not in README.md, \"Working on it\"", name, v)
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for v := range described {
		if !used[v] {
			t.Errorf("README.md tells of %s, which nothing reads", v)
		}
	}
}

// A promise of the threat model is held by a test that exists.
func TestPromisesHaveTests(t *testing.T) {
	tree := os.DirFS("..")
	model, err := fs.ReadFile(tree, "configs/threats.md")
	if err != nil {
		t.Fatal(err)
	}
	missing := make(map[string]bool)
	for _, name := range regexp.MustCompile(`\bTest[A-Z]\w+`).FindAllString(string(model), -1) {
		missing["func "+name+"("] = true
	}
	if len(missing) < 10 {
		t.Errorf("%d tests are named", len(missing))
	}
	err = fs.WalkDir(tree, ".", func(name string, e fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case e.IsDir() && (name == "bin" || name == ".peers" || name == ".git"):
			return fs.SkipDir
		case !strings.HasSuffix(name, "_test.go"):
			return nil
		}
		text, err := fs.ReadFile(tree, name)
		for f := range missing {
			if strings.Contains(string(text), f) {
				delete(missing, f)
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for f := range missing {
		t.Errorf("configs/threats.md names %s), which is nowhere", f)
	}
}

func TestArchitectureCheckerFindsBreaches(t *testing.T) {
	for _, c := range []struct {
		name, file, text string
		want             string // part of the only breach; empty: none
	}{
		{"clean pure package", "nts/a.go",
			`package nts; import ("net/netip"; "time"; "ntsbridge/bridge/ntp"); var _ netip.Addr; func f(now time.Time) ntp.Mode { return 0 }`,
			""},
		{"own subpackage", "nts/a.go", `package nts; import _ "ntsbridge/nts/aead"`, ""},
		{"sockets", "symkey/a.go", `package symkey; import _ "net"`, "imports net:"},
		{"sockets below net", "autokey/identity/a.go", `package identity; import _ "net/http"`, "imports net/http:"},
		{"system", "nts/a.go", `package nts; import _ "os/exec"`, "imports os/exec:"},
		{"log", "bridge/ntp/a.go", `package ntp; import _ "log/slog"`, "imports log/slog:"},
		{"hclog", "bridge/convert/a.go", `package convert; import _ "github.com/hashicorp/go-hclog"`,
			"imports github.com/hashicorp/go-hclog:"},
		{"randomness", "nts/a.go", `package nts; import _ "crypto/rand"`, "imports crypto/rand:"},
		{"clock", "autokey/a.go", `package autokey; import "time"; var t = time.Now`, "autokey/a.go:1:41: uses time.Now"},
		{"clock renamed", "autokey/a.go", `package autokey; import c "time"; func f() { <-c.After(1) }`, "uses time.After"},
		{"clock by a dot", "autokey/a.go", `package autokey; import . "time"; var t = Now()`, "imports time by a dot"},
		{"a field called time", "autokey/a.go", `package autokey; func f(time struct{ Now int }) int { return time.Now }`, ""},
		{"goroutine", "symkey/a.go", `package symkey; func f() { go f() }`, "starts a goroutine"},
		{"goroutine in a test", "symkey/a_test.go", `package symkey; import _ "os"; func f() { go f() }`, ""},
		{"goroutine in a shell", "bridge/server/a.go", `package server; import _ "net"; func f() { go f() }`, ""},
		{"siblings", "autokey/a.go", `package autokey; import _ "ntsbridge/nts"`, "do not know one another"},
		{"siblings in a test", "nts/a_test.go", `package nts; import _ "ntsbridge/symkey"`, "do not know one another"},
		{"authenticator knows the shell", "symkey/a.go", `package symkey; import _ "ntsbridge/bridge/access"`, "bridge/ntp only"},
		{"leaf", "bridge/ntp/a.go", `package ntp; import _ "ntsbridge/bridge/access"`, "is a leaf"},
		{"composition root", "bridge/server/a.go", `package server; import _ "ntsbridge/bridge"`, "only cmd imports"},
		{"composition root from cmd", "cmd/ntsbridge/a.go", `package main; import _ "ntsbridge/bridge"`, ""},
		{"composition root from its test", "bridge/a_test.go", `package bridge_test; import _ "ntsbridge/bridge"`, ""},
		{"live object", "bridge/control/a.go", `package control; import "ntsbridge/bridge/server"; var s *server.Server`, "no live object"},
		{"counters", "bridge/control/a.go", `package control; import "ntsbridge/bridge/server"; var s *server.Counters`, ""},
		{"associations", "bridge/control/a.go", `package control; import _ "ntsbridge/bridge/association"`, "only the composition root"},
		{"associations from follow", "bridge/follow/a.go", `package follow; import _ "ntsbridge/bridge/association"`,
			"only the composition root"},
		{"associations from the root", "bridge/a.go", `package bridge; import _ "ntsbridge/bridge/association"`, ""},
		{"follow from below", "bridge/clock/a.go", `package clock; import _ "ntsbridge/bridge/follow"`, "never back"},
		{"follow from an association", "bridge/association/a.go", `package association; import _ "ntsbridge/bridge/follow"`, ""},
		{"harness", "bridge/server/a.go", `package server; import _ "ntsbridge/bridge/interop"`, "it is for tests"},
		{"what tests need", "bridge/server/a.go", `package server; import _ "ntsbridge/bridge/needs"`, "it is for tests"},
		{"what tests need, in a test", "bridge/server/a_test.go", `package server; import _ "ntsbridge/bridge/needs"`, ""},
		{"similar name", "bridge/ntpx/a.go", `package ntpx; import (_ "os"; _ "ntsbridge/bridge/access")`, ""},
		{"top level", "docs/a.md", "", "docs: not an entry of the top level"},
		{"dot file", ".ci/run", "", ""},
		{"not our source", "nts/testdata/a.go", `package a; import _ "net"`, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			found, err := breaches(fstest.MapFS{c.file: {Data: []byte(c.text)}})
			if err != nil {
				t.Fatal(err)
			}
			if c.want == "" && len(found) > 0 || c.want != "" && (len(found) != 1 || !strings.Contains(found[0], c.want)) {
				t.Errorf("found %q, want %q", found, c.want)
			}
		})
	}
}
