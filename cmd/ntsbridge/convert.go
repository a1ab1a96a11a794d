package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"ntsbridge/bridge/convert"
	account "ntsbridge/bridge/convert/report"
)

type convertFlags struct {
	from, output, outDir    string
	report, reportFormat    string
	root, hostname, keysDir string
	ntsCert, ntsKey         string
	ntsSelfSigned           bool
	takeoverUntil           string
	trial                   bool
	daemonOptions           string
	lost, answers           string
	targetDir, names        string
	decided                 map[string]convert.Lost
	addresses               []string
	clientFormat, ca, step  string
	serving                 string
	gateways                []string
	strict                  bool
	jobs                    int
	known                   map[string][]netip.Addr
	now                     time.Time
	in                      io.Reader
	out, errOut             io.Writer
	outColour, errColour    bool
	errIsTerminal           bool
}

// newConvertCommand returns the command that turns the configurations of ntpd
// and chronyd into those of ntsbridge and of its clients.
func newConvertCommand() *cobra.Command {
	var f convertFlags
	cmd := &cobra.Command{
		Use:   "convert [flags] INPUT...",
		Short: "Convert ntp.conf or chrony.conf, with an account of every line",
		Long: `Reads ntp.conf (of ntpd 4.2.8 or ntpsec) or chrony.conf, with the files that it
includes, its keys and Autokey's files, and writes a configuration of ntsbridge,
or with --client-format that of a client's daemon. INPUT is a file, a directory
that is searched for *.conf, or - for standard input.

The configuration goes to standard output or -o, the report to standard error or
--report. With --out-dir any number of inputs is converted at once, and standard
output gets a summary.

How the old daemon was started (ntpd -g, -x) is read from the host's files or
--daemon-options; without either, its defaults are written out and said.

Where the old daemon ignored a word of security for a slip of the pen, nothing is
written until --lost says what counts; on a terminal it asks.

Exit status: 0 converted (the report says at what price); 1 not converted;
2 wrong usage; 3 converted, but with --strict something is unsupported,
dangerous or not understood.`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			f.now, f.in, f.out, f.errOut = time.Now(), cmd.InOrStdin(), cmd.OutOrStdout(), cmd.ErrOrStderr()
			f.outColour, f.errColour, f.errIsTerminal = colourful(os.Stdout), colourful(os.Stderr), terminal(os.Stderr)
			return f.run(args)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&f.from, "from", "auto", "`DIALECT` of the input: auto, ntp, ntpsec or chrony")
	flags.StringVarP(&f.output, "output", "o", "", "write the configuration to `FILE` (default: - for standard output)")
	flags.StringVar(&f.outDir, "out-dir", "", "write configurations and reports below `DIR`")
	flags.StringVar(&f.names, "names", "{path}",
		"`NAME` of each output below --out-dir, without its ending: {path} is the input's name, {host} that of its host, {base} the last part of its name")
	flags.StringVar(&f.report, "report", "", "write the report to `FILE`; - is standard output (default: standard error)")
	flags.StringVar(&f.reportFormat, "report-format", "text", "`FORMAT` of the report: text or json; of the summary of --out-dir also csv")
	flags.StringVar(&f.root, "root", "",
		"`DIR` that is the host's root, for the files that the input names (default: what stands before /etc in its name)")
	flags.StringVar(&f.hostname, "hostname", "", "`NAME` of the host, for Autokey's files")
	flags.StringVar(&f.keysDir, "keysdir", "", "`DIR` of Autokey's files that ntpd was compiled with")
	flags.StringArrayVar(&f.addresses, "address", nil,
		"addresses of a host or network interface, `NAME=ADDRESS[,ADDRESS]`; may be repeated")
	flags.StringVar(&f.ntsCert, "nts-cert", "", "serve NTS with the certificate in `FILE`")
	flags.StringVar(&f.ntsKey, "nts-key", "", "and its key in `FILE`")
	flags.BoolVar(&f.ntsSelfSigned, "nts-self-signed", false, "serve NTS with a certificate that is made on first start")
	flags.StringVar(&f.takeoverUntil, "takeover-until", "",
		"accept cookies of the replaced ntpd until `DATE` (2006-01-02; default: 180 days from now)")
	flags.BoolVar(&f.trial, "trial", false,
		"write autokey.seed: zero-compatible, with which the old ntpd can serve again without stranding a client")
	flags.StringVar(&f.daemonOptions, "daemon-options", "",
		"command line that the daemon is started with, such as '-g' (default: looked for among the host's files) (`OPTIONS`)")
	flags.StringVar(&f.lost, "lost", "", "what counts where the old daemon lost a word of security: stop, running or intended (`WHAT`)")
	flags.StringVar(&f.answers, "answers", "",
		"`FILE` with answers to questions, a line CODE = WHAT each, as --lost has them; the summary of --out-dir lists the codes")
	flags.StringVar(&f.targetDir, "target-dir", "",
		"`DIR` in which the target will have the files with keys and passwords (default: where they are written)")
	flags.StringVar(&f.clientFormat, "client-format", "", "write a client's configuration: "+strings.Join(convert.ClientFormats,
		", ")+" (`FORMAT`)")
	flags.StringArrayVar(&f.gateways, "gateway", nil, "`NAME` of the server for clients; may be repeated")
	flags.StringVar(&f.ca, "ca", "", "`FILE` with the certificates that clients trust")
	flags.StringVar(&f.step, "step", "nts",
		"how clients authenticate: nts, key for a step in between, or mixed: key where there is one, else nts (`STEP`)")
	flags.StringVar(&f.serving, "serving", "auto",
		"whether clients go on serving others: auto, if their files let networks in by name, keep or drop (`WHAT`)")
	flags.BoolVar(&f.strict, "strict", false, "end with status 3 if anything is unsupported, dangerous or not understood")
	flags.IntVar(&f.jobs, "jobs", 0, "`NUMBER` of conversions at the same time (default: one per processor)")
	return cmd
}

// colourful reports whether a file is a terminal that wants colours.
func colourful(f *os.File) bool {
	return terminal(f) && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
}

func (f *convertFlags) run(args []string) error {
	if err := f.check(); err != nil {
		return err
	}
	if f.outDir != "" {
		return f.fleet(args)
	}
	if f.output == "-" {
		f.output = ""
	}
	if f.report == "-" && f.output == "" {
		return usageError("--report -: the configuration goes to standard output too: name a file with -o FILE")
	}
	if f.output != "" && sameFile(f.output, args[0]) || f.report != "" && sameFile(f.report, args[0]) {
		return usageError("%s is the input, and would be overwritten: name another file", args[0])
	}
	if len(args) != 1 {
		return usageError("several inputs need --out-dir DIR")
	}
	if info, err := os.Stat(args[0]); err == nil && info.IsDir() {
		return usageError("%s is a directory, and needs --out-dir DIR", args[0])
	}
	return f.single(args[0])
}

// check looks at the flags together.
func (f *convertFlags) check() error {
	oneOf := func(flag, value string, words ...string) error {
		for _, w := range words {
			if value == w {
				return nil
			}
		}
		return usageError("--%s %s: must be one of %s", flag, value, strings.Join(words, ", "))
	}
	err := errors.Join(
		oneOf("from", f.from, "auto", "ntp", "ntpsec", "chrony"),
		oneOf("report-format", f.reportFormat, "text", "json", "csv"),
		oneOf("lost", f.lost, "", "stop", "running", "intended"),
		oneOf("step", f.step, "nts", "key", "mixed"),
		oneOf("serving", f.serving, "auto", "keep", "drop"),
		oneOf("client-format", f.clientFormat, append([]string{""}, convert.ClientFormats...)...))
	switch {
	case err != nil:
		return usageError("%w", err)
	case (f.ntsCert == "") != (f.ntsKey == ""):
		return usageError("--nts-cert and --nts-key go together")
	case f.ntsCert != "" && f.ntsSelfSigned:
		return usageError("--nts-cert and --nts-self-signed exclude each other")
	case f.clientFormat != "" && len(f.gateways) == 0:
		return usageError("--client-format needs --gateway NAME, the server that the clients are to use")
	case f.clientFormat == "" && (len(f.gateways) > 0 || f.ca != ""):
		return usageError("--gateway and --ca go with --client-format")
	case f.reportFormat == "csv" && f.outDir == "":
		return usageError("--report-format csv is for the summary of --out-dir")
	case f.names != "{path}" && f.outDir == "":
		return usageError("--names goes with --out-dir")
	case f.outDir != "" && (f.output != "" || f.report != ""):
		return usageError("--out-dir takes the place of -o and --report")
	}
	for _, gateway := range f.gateways {
		if gateway == "" || strings.ContainsAny(gateway, " \t\r\n\"'#\\") {
			return usageError("--gateway %q is no host name", gateway)
		}
	}
	if strings.ContainsAny(f.ca, " \t\r\n\"'#\\") {
		return usageError("--ca %q: not all daemons take a name with blanks or quotes", f.ca)
	}
	if f.takeoverUntil != "" {
		if _, err := time.Parse(time.DateOnly, f.takeoverUntil); err != nil {
			return usageError("--takeover-until %s: write a date such as 2027-12-31", f.takeoverUntil)
		}
	}
	if err := f.readAnswers(); err != nil {
		return err
	}
	return f.parseAddresses()
}

func (f *convertFlags) parseAddresses() error {
	f.known = make(map[string][]netip.Addr)
	for _, item := range f.addresses {
		name, list, ok := strings.Cut(item, "=")
		if !ok || name == "" {
			return usageError("--address %s: write NAME=ADDRESS[,ADDRESS]", item)
		}
		for text := range strings.SplitSeq(list, ",") {
			a, err := netip.ParseAddr(text)
			if err != nil {
				return usageError("--address %s: %s is no address", item, text)
			}
			f.known[name] = append(f.known[name], a)
		}
	}
	return nil
}

// options are those of all inputs; the names of files for secrets are added.
func (f *convertFlags) options(output string) (convert.Options, error) {
	opt := convert.Options{
		Dialect: f.from, Addresses: f.known, Hostname: f.hostname, KeysDir: f.keysDir,
		NTSSelfSigned: f.ntsSelfSigned, TakeoverUntil: f.takeoverUntil, Trial: f.trial, Now: f.now,
		DaemonOptions: f.daemonOptions,
	}
	secret, err := filepath.Abs(cmp.Or(output, "ntsbridge.yaml"))
	if err != nil {
		return opt, err
	}
	secret = strings.TrimSuffix(secret, filepath.Ext(secret))
	if f.targetDir != "" {
		secret = filepath.Join("/", f.targetDir, filepath.Base(secret))
	}
	for path, to := range map[string]*string{f.ntsCert: &opt.NTSCert, f.ntsKey: &opt.NTSKey} {
		if path == "" {
			continue
		}
		if *to, err = filepath.Abs(path); err != nil {
			return opt, err
		}
	}
	opt.PasswordFile = secret + ".autokey-password"
	if f.clientFormat != "" {
		opt.Client = &convert.ClientOptions{Format: f.clientFormat, Gateways: f.gateways, CA: f.ca, Key: f.step == "key",
			Mixed: f.step == "mixed", KeyFile: secret + ".keys", Serving: strings.TrimPrefix(f.serving, "auto")}
	}
	if f.lost != "" || len(f.decided) > 0 {
		opt.Decide = func(q account.Question) convert.Lost {
			if answer, ok := f.decided[q.Code]; ok {
				return answer
			}
			return lostWords[f.lost]
		}
	}
	return opt, nil
}

// convert converts one input.
func (f *convertFlags) convert(name, output string, ask bool) (*convert.Result, error) {
	in, done, err := f.input(name)
	defer done()
	if err != nil {
		return nil, err
	}
	opt, err := f.options(output)
	if err != nil {
		return nil, err
	}
	if opt.Hostname == "" {
		opt.Hostname = hostnameOf(in.Files, os.Hostname)
	}
	if ask && opt.Decide == nil {
		opt.Decide = f.ask()
	}
	return convert.Convert(in, opt), nil
}

func (f *convertFlags) single(name string) error {
	res, err := f.convert(name, f.output, f.lost == "" && f.in == io.Reader(os.Stdin) && name != "-" && terminal(os.Stdin))
	if err != nil {
		return err
	}
	if len(res.Secrets) > 0 && f.output == "" {
		return usageError("there is a secret, which goes into a file of its own: name the output with -o FILE")
	}
	for _, s := range res.Secrets {
		if err := writeFile(f.local(s.Name, f.output), s.Content, 0o600); err != nil {
			return err
		}
	}
	if err := f.writeOutput(res); err != nil {
		return err
	}
	if err := f.writeReport(res.Report); err != nil {
		return err
	}
	return f.verdict(res.Report)
}

func (f *convertFlags) writeOutput(res *convert.Result) error {
	switch {
	case res.Output == nil:
		return nil
	case f.output != "":
		return writeFile(f.output, res.Output, 0o644)
	}
	_, err := f.out.Write(res.Output)
	return err
}

func (f *convertFlags) writeReport(r *account.Report) error {
	switch f.report {
	case "":
		return f.formatReport(f.errOut, r, f.errColour)
	case "-":
		return f.formatReport(f.out, r, f.outColour)
	}
	var text strings.Builder
	if err := f.formatReport(&text, r, false); err != nil {
		return err
	}
	return writeFile(f.report, []byte(text.String()), 0o644)
}

func (f *convertFlags) formatReport(w io.Writer, r *account.Report, colour bool) error {
	if f.reportFormat == "json" {
		encoder := json.NewEncoder(w)
		encoder.SetEscapeHTML(false)
		encoder.SetIndent("", "  ")
		return encoder.Encode(r)
	}
	return r.WriteText(w, colour)
}

// leftAlone tells of an output of another time, which is not this input's.
func (f *convertFlags) leftAlone() string {
	if _, err := os.Stat(f.output); f.output == "" || err != nil {
		return ""
	}
	return "; " + f.output + " is left as it was"
}

// verdict turns a report into an exit status.
func (f *convertFlags) verdict(r *account.Report) error {
	switch r.Outcome() {
	case account.Blocked:
		return fmt.Errorf("%s: not converted: %d questions have to be decided first, see the report%s", r.Input, len(r.Questions), f.leftAlone())
	case account.Rejected:
		return fmt.Errorf("%s: not converted, see the report%s", r.Input, f.leftAlone())
	case account.Lossy:
		if f.strict {
			return &statusError{exitFindings, fmt.Errorf("%s: converted with losses, see the report", r.Input)}
		}
		fmt.Fprintf(f.errOut, "ntsbridge: %s: converted with losses, see the report\n", r.Input)
	}
	return nil
}

// lostWords are the answers to questions.
var lostWords = map[string]convert.Lost{"": convert.LostStop, "stop": convert.LostStop, "running": convert.LostRunning,
	"intended": convert.LostIntended}

// readAnswers reads the file of --answers.
func (f *convertFlags) readAnswers() error {
	if f.answers == "" {
		return nil
	}
	data, err := os.ReadFile(f.answers)
	if err != nil {
		return err
	}
	f.decided = make(map[string]convert.Lost)
	n := 0
	for line := range strings.Lines(string(data)) {
		n++
		line, _, _ = strings.Cut(line, "#")
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		code, word, ok := strings.Cut(line, "=")
		code, word = strings.TrimSpace(code), strings.TrimSpace(word)
		answer, known := lostWords[word]
		if !ok || !known || code == "" || word == "" {
			return usageError("%s:%d: write CODE = stop, running or intended", f.answers, n)
		}
		f.decided[code] = answer
	}
	return nil
}

// sameFile reports whether two names are of one file.
func sameFile(a, b string) bool {
	x, err := os.Stat(a)
	if err != nil {
		return false
	}
	y, err := os.Stat(b)
	return err == nil && os.SameFile(x, y) && x.Mode().IsRegular()
}

// local returns where a file with a secret is written: beside the output, if
// the configuration has the name that it will have on the target.
func (f *convertFlags) local(name, output string) string {
	if f.targetDir == "" {
		return name
	}
	return filepath.Join(filepath.Dir(output), filepath.Base(name))
}
