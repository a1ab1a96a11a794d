package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"ntsbridge/bridge/convert"
	account "ntsbridge/bridge/convert/report"
)

// fleetItem is one input and where its output goes, below the output
// directory and without an ending.
type fleetItem struct{ input, output string }

// fleetResult is what became of an item.
type fleetResult struct {
	number int
	report *account.Report
	output string
	err    error
}

// fleet converts many inputs in parallel. What it writes and prints does not
// depend on which conversion ends first.
func (f *convertFlags) fleet(args []string) error {
	items, err := f.collect(args)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(f.outDir, 0o755); err != nil {
		return err
	}
	b := &batch{}
	summary := account.NewSummary()
	failures := f.work(items, b, func(r fleetResult) {
		summary.Add(r.report, r.output)
		f.progress(r.number+1, len(items))
	})
	if failures != nil {
		b.discard()
		return failures
	}
	if err := f.gateway(summary, b); err != nil {
		b.discard()
		return err
	}
	if err := b.commit(f.outDir); err != nil {
		return err
	}
	summary.Finish()
	switch f.reportFormat {
	case "json":
		encoder := json.NewEncoder(f.out)
		encoder.SetEscapeHTML(false)
		encoder.SetIndent("", "  ")
		err = encoder.Encode(summary)
	case "csv":
		err = summary.WriteCSV(f.out)
	default:
		err = summary.WriteText(f.out, f.outColour)
	}
	if err != nil {
		return err
	}
	return f.fleetVerdict(summary)
}

// gateway writes the configuration of a server for the hosts.
func (f *convertFlags) gateway(s *account.Summary, b *batch) error {
	name, keys := filepath.Join(f.outDir, "gateway.yaml"), filepath.Join(f.outDir, "gateway.keys")
	opt, err := f.options(name)
	if err != nil {
		return err
	}
	target, err := filepath.Abs(keys)
	if err != nil {
		return err
	}
	if f.targetDir != "" {
		target = filepath.Join("/", f.targetDir, filepath.Base(keys))
	}
	gateway := convert.NewGateway(s.Results, convert.GatewayOptions{KeyFile: target, NTSCert: opt.NTSCert, NTSKey: opt.NTSKey})
	files := &account.GatewayFiles{Notes: gateway.Notes}
	var written []string
	if gateway.Output != nil {
		files.Config = name
		written = append(written, name)
		err = b.write(name, gateway.Output, 0o644)
	}
	if gateway.Keys != nil && err == nil {
		files.Keys = keys
		written = append(written, keys)
		err = b.write(keys, gateway.Keys, 0o600)
	}
	b.remove([]string{name, keys}, written)
	if gateway.Output != nil {
		s.Gateway = files
	}
	return err
}

func (f *convertFlags) fleetVerdict(s *account.Summary) error {
	bad := s.Outcomes[account.Blocked] + s.Outcomes[account.Rejected]
	switch {
	case bad > 0:
		return fmt.Errorf("%d of %d configurations are not converted", bad, s.Files)
	case f.strict && s.Outcomes[account.Lossy] > 0:
		return &statusError{exitFindings, fmt.Errorf("%d of %d configurations are converted with losses", s.Outcomes[account.Lossy],
			s.Files)}
	}
	return nil
}

// progress tells a terminal how far the work is.
func (f *convertFlags) progress(done, all int) {
	if !f.errIsTerminal || all < 100 || done%50 != 0 && done != all {
		return
	}
	end := ""
	if done == all {
		end = "\n"
	}
	fmt.Fprintf(f.errOut, "\r%d of %d%s", done, all, end)
}

// collect lists the inputs: files as they are named, and in directories all
// files *.conf, in the order of their names.
func (f *convertFlags) collect(args []string) ([]fleetItem, error) {
	var items []fleetItem
	for _, arg := range args {
		info, err := os.Stat(arg)
		switch {
		case err != nil:
			return nil, err
		case !info.IsDir():
			items = append(items, fleetItem{arg, localName(arg)})
			continue
		}
		err = filepath.WalkDir(arg, func(name string, e fs.DirEntry, err error) error {
			if err != nil || !e.Type().IsRegular() || filepath.Ext(name) != ".conf" || fragment(name) {
				return err
			}
			rel, err := filepath.Rel(arg, name)
			items = append(items, fleetItem{name, rel})
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	seen := make(map[string]string)
	for i := range items {
		items[i].output = f.named(items[i])
	}
	for _, item := range items {
		if first, ok := seen[item.output]; ok {
			return nil, usageError("%s and %s would be written to the same name: give a directory above both, or other --names",
				first, item.input)
		}
		seen[item.output] = item.input
	}
	if len(items) == 0 {
		return nil, usageError("no file *.conf in %s", strings.Join(args, " "))
	}
	return items, nil
}

// named returns the name of an item's output as --names has it.
func (f *convertFlags) named(item fleetItem) string {
	host := ""
	if strings.Contains(f.names, "{host}") {
		if root := rootOf(item.input); root != "" {
			host = hostnameOf(os.DirFS(root), os.Hostname)
			if !validHost(host) {
				host = filepath.Base(root)
			}
		}
		if !validHost(host) {
			host = strings.TrimSuffix(filepath.Base(item.input), filepath.Ext(item.input))
		}
	}
	return localName(strings.NewReplacer("{path}", item.output, "{host}", host, "{base}", filepath.Base(item.output)).Replace(f.names))
}

// validHost reports whether a host's name can be a part of a file's.
func validHost(name string) bool {
	return name != "" && !strings.HasPrefix(name, ".") && !strings.ContainsAny(name, "/\x00\n ")
}

// fragment reports whether a file is a part of another configuration: it lies in
// a directory of such parts, beside the file that includes them.
func fragment(name string) bool {
	dir := filepath.Dir(name)
	switch filepath.Base(dir) {
	case "conf.d", "sources.d", "ntp.d", "chrony.d":
	default:
		return false
	}
	for _, whole := range []string{"chrony.conf", "ntp.conf"} {
		if _, err := os.Stat(filepath.Join(filepath.Dir(dir), whole)); err == nil {
			return true
		}
	}
	return false
}

// localName returns the name of an input below the output directory: as it
// was given, without what leads out of there.
func localName(name string) string {
	return strings.TrimPrefix(filepath.Clean("/"+name), "/")
}

// work converts the items with several workers, and hands the results over
// in the order of the items. Few results wait for an earlier one.
func (f *convertFlags) work(items []fleetItem, b *batch, take func(fleetResult)) error {
	jobs := f.jobs
	if jobs <= 0 {
		jobs = runtime.GOMAXPROCS(0)
	}
	numbers, results := make(chan int), make(chan fleetResult)
	ahead := make(chan struct{}, 64*jobs)
	var workers sync.WaitGroup
	for range jobs {
		workers.Go(func() {
			for n := range numbers {
				results <- f.fleetItem(n, items[n], b)
			}
		})
	}
	go func() {
		for n := range items {
			ahead <- struct{}{}
			numbers <- n
		}
		close(numbers)
		workers.Wait()
		close(results)
	}()
	waiting := make(map[int]fleetResult)
	next := 0
	var failed []error
	for r := range results {
		waiting[r.number] = r
		for {
			r, ok := waiting[next]
			if !ok {
				break
			}
			delete(waiting, next)
			next++
			<-ahead
			if r.err != nil {
				failed = append(failed, fmt.Errorf("%s: %w", items[r.number].input, r.err))
				continue
			}
			take(r)
		}
	}
	return errors.Join(failed...)
}

// outputEnding is that of a configuration by client format.
var outputEnding = map[string]string{"": ".yaml", "chrony": ".chrony.conf", "ntpsec": ".ntpsec.conf", "ntpd-rs": ".ntp.toml",
	"timesyncd": ".timesyncd.conf"}

// fleetItem converts one item and writes its files under temporary names.
func (f *convertFlags) fleetItem(number int, item fleetItem, b *batch) fleetResult {
	base := filepath.Join(f.outDir, item.output)
	output := base + outputEnding[f.clientFormat]
	res, err := f.convert(item.input, output, false)
	if err != nil {
		res = &convert.Result{Report: account.Failed(item.input, err)} // the others go on
	}
	r := fleetResult{number: number, report: res.Report}
	var text strings.Builder
	if f.reportFormat == "csv" {
		r.err = res.Report.WriteText(&text, false)
	} else {
		r.err = f.formatReport(&text, res.Report, false)
	}
	if r.err != nil {
		return r
	}
	ending := ".report.txt"
	if f.reportFormat == "json" {
		ending = ".report.json"
	}
	r.err = b.write(base+ending, []byte(text.String()), 0o644)
	if res.Output != nil && r.err == nil {
		r.output = output
		r.err = b.write(output, res.Output, 0o644)
	}
	written := []string{r.output}
	for _, s := range res.Secrets {
		if r.err == nil {
			name := f.local(s.Name, output)
			written = append(written, name)
			r.err = b.write(name, s.Content, 0o600)
		}
	}
	stem := strings.TrimSuffix(output, filepath.Ext(output))
	b.remove([]string{output, stem + ".autokey-password", stem + ".keys"}, written)
	return r
}

// batch writes many files so that each appears whole or not at all, with one
// flush for all of them: a flush for each would take minutes for a fleet.
type batch struct {
	mutex sync.Mutex
	names []string
	dirs  map[string]bool
	stale []string // of an earlier conversion, that is no more
}

// remove notes files of an earlier conversion that this one does not write: a
// host that is blocked by now must not keep what was made of it before.
func (b *batch) remove(names, written []string) {
	absolute := func(name string) string {
		full, err := filepath.Abs(name)
		if err != nil {
			return name
		}
		return full
	}
	b.mutex.Lock()
	defer b.mutex.Unlock()
	for _, name := range names {
		if name = absolute(name); !slices.ContainsFunc(written, func(w string) bool { return w != "" && absolute(w) == name }) {
			b.stale = append(b.stale, name)
		}
	}
}

// temporary is the name under which a file waits.
func temporary(name string) string {
	return filepath.Join(filepath.Dir(name), "."+filepath.Base(name)+".new")
}

func (b *batch) write(name string, content []byte, mode fs.FileMode) error {
	dir := filepath.Dir(name)
	b.mutex.Lock()
	b.names = append(b.names, name)
	if b.dirs == nil {
		b.dirs = make(map[string]bool)
	}
	made := b.dirs[dir]
	b.dirs[dir] = true
	b.mutex.Unlock()
	if !made {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	file, err := os.OpenFile(temporary(name), os.O_WRONLY|os.O_CREATE|os.O_TRUNC|unix.O_NOFOLLOW, mode)
	if errors.Is(err, fs.ErrNotExist) { // another worker is about to make it
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
		file, err = os.OpenFile(temporary(name), os.O_WRONLY|os.O_CREATE|os.O_TRUNC|unix.O_NOFOLLOW, mode)
	}
	if err != nil {
		return err
	}
	err = file.Chmod(mode)
	if err == nil {
		_, err = file.Write(content)
	}
	return errors.Join(err, file.Close())
}

// commit flushes the file system, gives the files their names, and flushes
// again.
func (b *batch) commit(dir string) error {
	flush := func() error {
		d, err := os.Open(dir)
		if err != nil {
			return err
		}
		defer d.Close()
		return unix.Syncfs(int(d.Fd()))
	}
	if err := flush(); err != nil {
		b.discard()
		return err
	}
	slices.Sort(b.names)
	for _, name := range b.names {
		if err := os.Rename(temporary(name), name); err != nil {
			b.discard()
			return err
		}
	}
	for _, name := range b.stale {
		if err := os.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return flush()
}

// discard removes what was not given its name.
func (b *batch) discard() {
	for _, name := range b.names {
		os.Remove(temporary(name))
	}
}

// writeFile makes or replaces a file, which appears whole or not at all. A
// device is written to directly.
func writeFile(name string, content []byte, mode fs.FileMode) error {
	if info, err := os.Stat(name); err == nil && !info.Mode().IsRegular() && !info.IsDir() {
		return os.WriteFile(name, content, mode)
	}
	b := &batch{}
	if err := b.write(name, content, mode); err != nil {
		b.discard()
		return err
	}
	return b.commit(filepath.Dir(name))
}
