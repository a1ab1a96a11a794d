package bridge

import (
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/tools/go/packages"
)

// knotMax is how many files of a package may refer to one another in a circle: a
// handful is read as one.
const knotMax = 5

func TestFilesAreNotKnotted(t *testing.T) {
	if testing.Short() {
		t.Skip("it reads every package with its types")
	}
	all, err := packages.Load(&packages.Config{Dir: "..",
		Mode: packages.NeedName | packages.NeedFiles | packages.NeedCompiledGoFiles | packages.NeedImports | packages.NeedTypes |
			packages.NeedTypesSizes | packages.NeedSyntax | packages.NeedTypesInfo}, "./...")
	if err != nil {
		t.Fatal(err)
	}
	if len(all) < 50 {
		t.Fatalf("only %d packages were found", len(all))
	}
	for _, p := range all {
		for _, e := range p.Errors {
			t.Fatal(e)
		}
		if knot := largestKnot(p.Fset, p.Syntax, p.TypesInfo); len(knot) > knotMax {
			t.Errorf("%s: %d files refer to one another in a circle, more than %d: %s", p.PkgPath, len(knot), knotMax, strings.Join(knot, " "))
		}
	}
}

// largestKnot returns the files of a package that reach one another by what they
// refer to, of the largest set of such files.
func largestKnot(fset *token.FileSet, files []*ast.File, info *types.Info) []string {
	at := func(p token.Pos) string { return fset.Position(p).Filename }
	own := make(map[string]bool, len(files))
	for _, f := range files {
		own[at(f.Package)] = true
	}
	reach := make(map[string]map[string]bool, len(files)) // by file: those that it refers to
	for name := range own {
		reach[name] = map[string]bool{}
	}
	for ident, object := range info.Uses {
		from, to := at(ident.Pos()), at(object.Pos())
		if own[from] && own[to] {
			reach[from][to] = true
		}
	}
	for via := range own { // Warshall
		for from := range own {
			if reach[from][via] {
				for to := range reach[via] {
					reach[from][to] = true
				}
			}
		}
	}
	var largest []string
	for name := range own {
		knot := []string{filepath.Base(name)}
		for other := range own {
			if other != name && reach[name][other] && reach[other][name] {
				knot = append(knot, filepath.Base(other))
			}
		}
		slices.Sort(knot)
		if len(knot) > len(largest) || len(knot) == len(largest) && slices.Compare(knot, largest) < 0 {
			largest = knot
		}
	}
	return largest
}

func TestKnotsAreFound(t *testing.T) {
	for _, c := range []struct {
		name  string
		files []string
		want  string
	}{
		{"alone", []string{`package p; func A() { A() }`}, "0.go"},
		{"one way", []string{`package p; func A() { B() }`, `package p; func B() {}`}, "0.go"},
		{"by a function", []string{`package p; func A() { B() }`, `package p; func B() { A() }`}, "0.go 1.go"},
		{"by a method", []string{`package p; type T struct{}; func f(t T) { t.m() }`, `package p; func (T) m() {}`}, "0.go 1.go"},
		{"by a field", []string{`package p; type T struct{ n int }; var _ = g`, `package p; func g(t T) int { return t.n }`}, "0.go 1.go"},
		{"through others", []string{`package p; var _ = B`, `package p; const B = C`, `package p; const C = 1; func f() { g() }`,
			`package p; func g() { _ = B }`}, "1.go 2.go 3.go"},
	} {
		t.Run(c.name, func(t *testing.T) {
			fset := token.NewFileSet()
			var files []*ast.File
			for i, text := range c.files {
				f, err := parser.ParseFile(fset, string(rune('0'+i))+".go", text, 0)
				if err != nil {
					t.Fatal(err)
				}
				files = append(files, f)
			}
			info := &types.Info{Uses: map[*ast.Ident]types.Object{}}
			if _, err := (&types.Config{}).Check("p", fset, files, info); err != nil {
				t.Fatal(err)
			}
			if got := strings.Join(largestKnot(fset, files, info), " "); got != c.want {
				t.Errorf("%s, want %s", got, c.want)
			}
		})
	}
}
