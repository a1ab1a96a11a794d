package fastpath

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"ntsbridge/bridge/needs"
)

// compilerVersion is that of the compiler that made the committed object.
const compilerVersion = "19.1.7"

// TestObjectIsThatOfTheSource makes the object anew, where the compiler is: a
// build needs none, nor do the other tests.
func TestObjectIsThatOfTheSource(t *testing.T) {
	needs.Slow(t)
	for _, tool := range []string{"clang-19", "llvm-strip-19"} {
		out, err := exec.Command(tool, "--version").Output()
		if err != nil || !bytes.Contains(out, []byte(compilerVersion)) {
			missing := fmt.Sprintf("%s %s is not here (Debian: clang-19, llvm-19): %v", tool, compilerVersion, err)
			fmt.Fprintf(os.Stderr, "\n*** %s NOT RUN: %s\n\n", t.Name(), missing)
			t.Skip(missing)
		}
	}
	dir := t.TempDir()
	cmd := exec.Command("sh", "object.sh", "-output-dir", dir)
	cmd.Env = append(os.Environ(), "GOPACKAGE=fastpath")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("object.sh: %v\n%s", err, out)
	}
	for _, name := range []string{"object_bpfel.o", "object_bpfel.go"} {
		made, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		committed, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(made, committed) {
			t.Errorf("%s is not what the source makes: run go generate in this directory and commit it", name)
		}
	}
}
