package history

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// File is an open history. It is safe for concurrent use.
type File struct {
	path string

	mu   sync.Mutex
	file *os.File
	end  End
	// behind is set when a write failed and what it left could not be taken
	// back: it is tried again before the next one.
	behind bool
}

// Open opens or makes the history at path. A last line that is not complete
// was never told to anybody as done: it is kept beside, under the name with
// .torn, and the chain goes on before it. A history that is broken is put
// aside under another name, which is told, and a new one begins.
func Open(path string, now time.Time) (f *File, told []string, err error) {
	f = &File{path: path}
	if f.file, err = openFile(path); err != nil {
		return nil, nil, err
	}
	f.end, err = Verify(f.file, nil)
	switch {
	case err == nil:
		return f, nil, nil
	case errors.Is(err, ErrTorn):
		told, err = []string{err.Error() + "; it was moved to " + path + ".torn"}, f.tear()
	case errors.Is(err, ErrBroken):
		aside := fmt.Sprintf("%s.broken-%s", path, now.UTC().Format("20060102T150405"))
		told = []string{fmt.Sprintf("%v: it was moved to %s, and a new one begins", err, aside)}
		err = f.restart(aside)
	}
	if err != nil {
		return nil, told, errors.Join(err, f.file.Close())
	}
	return f, told, nil
}

func openFile(path string) (*os.File, error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o640)
	if err != nil {
		return nil, err
	}
	return file, syncDir(filepath.Dir(path))
}

// tear keeps an incomplete last line beside and takes it off the file.
func (f *File) tear() error {
	if _, err := f.file.Seek(f.end.Octets, io.SeekStart); err != nil {
		return err
	}
	rest, err := io.ReadAll(io.LimitReader(f.file, maxLine))
	if err != nil {
		return err
	}
	if err := os.WriteFile(f.path+".torn", rest, 0o640); err != nil && !errors.Is(err, fs.ErrPermission) {
		return err
	}
	return f.file.Truncate(f.end.Octets)
}

func (f *File) restart(aside string) (err error) {
	if err := os.Rename(f.path, aside); err != nil {
		return err
	}
	_ = f.file.Close()
	f.end = End{}
	f.file, err = openFile(f.path)
	return err
}

// Append writes an entry, which gets its number and hashes. When it returns
// without error, the entry outlives a power cut; else nothing was written.
func (f *File) Append(e *Entry) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.behind {
		if err := f.file.Truncate(f.end.Octets); err != nil {
			return fmt.Errorf("history: %w", err)
		}
		f.behind = false
	}
	line, err := e.seal(f.end.Lines+1, f.end.Hash)
	if err != nil {
		return fmt.Errorf("history: %w", err)
	}
	_, err = f.file.Write(line)
	if err == nil {
		err = f.file.Sync()
	}
	if err != nil {
		f.behind = f.file.Truncate(f.end.Octets) != nil
		return fmt.Errorf("history: %w", err)
	}
	f.end = End{e.Number, e.Hash, f.end.Octets + int64(len(line))}
	return nil
}

// End returns where the history ends.
func (f *File) End() End {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.end
}

// Read gives all entries to see, and verifies them.
func (f *File) Read(see func(*Entry) error) (End, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return Verify(io.NewSectionReader(f.file, 0, f.end.Octets), see)
}

// Close closes the file.
func (f *File) Close() error { return f.file.Close() }

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}
