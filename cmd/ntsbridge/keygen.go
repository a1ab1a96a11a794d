package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"ntsbridge/autokey/identity"
	"ntsbridge/autokey/keyfile"
	"ntsbridge/bridge/keydir"
)

// Exit statuses of ntp-keygen, which keygen has too.
const (
	keygenFailed = 255
	keygenUsage  = 1
)

// newKeygenCommand returns keygen. It reads its command line itself, by the
// rules of ntp-keygen.
func newKeygenCommand() *cobra.Command {
	return &cobra.Command{
		Use:                "keygen [ntp-keygen options] | keygen inspect|repair|renew ...",
		Short:              "Make, inspect, repair and renew Autokey files, with the options of ntp-keygen",
		Long:               keygenLong,
		DisableFlagParsing: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			return keygen(args, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
}

// ntpKeygen is what runs when the program is called ntp-keygen.
func ntpKeygen(args []string) int {
	err := keygen(args, os.Stdout, os.Stderr)
	if err == nil {
		return 0
	}
	fmt.Fprintln(os.Stderr, "ntp-keygen:", err)
	return exitStatus(err)
}

// keygen runs the command and gives each error its exit status.
func keygen(args []string, out, say io.Writer) error {
	if len(args) > 0 {
		switch args[0] {
		case "inspect":
			return subcommand(newInspectCommand(), args[1:], out, say)
		case "repair":
			return subcommand(newRepairCommand(), args[1:], out, say)
		}
	}
	err := makeKeys(args, out, say)
	if errors.Is(err, errUsage) {
		return &statusError{keygenUsage, fmt.Errorf("%w\nTry 'keygen --help' for more information", err)}
	}
	if err != nil {
		return &statusError{keygenFailed, err}
	}
	return nil
}

// subcommand runs a command that does not belong to ntp-keygen.
func subcommand(cmd *cobra.Command, args []string, out, say io.Writer) error {
	cmd.SilenceErrors, cmd.SilenceUsage = true, true
	cmd.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError("%w", err) })
	cmd.SetArgs(args)
	cmd.SetOut(out)
	cmd.SetErr(say)
	return cmd.Execute()
}

// makeKeys is keygen without a subcommand, and renew.
func makeKeys(args []string, out, say io.Writer) error {
	renew := len(args) > 0 && args[0] == "renew"
	if renew {
		args = args[1:]
	}
	line, err := parseKeygenArgs(args)
	if err != nil {
		return err
	}
	switch {
	case line.has("help") || line.has("more-help"):
		return keygenHelp(out)
	case line.has("version"):
		_, err := fmt.Fprintln(out, "ntp-keygen (ntsbridge), compatible with 4.2.8p15")
		return err
	}
	v, err := withPresets(line, say)
	if err != nil {
		return err
	}
	if line.has("save-opts") {
		return v.save(line.text("save-opts"), time.Now(), say)
	}
	r, err := newKeygenRun(v, line, renew, say)
	if err != nil {
		return err
	}
	err = r.run()
	if errors.Is(err, errStillValid) {
		return nil
	}
	if err != nil {
		return err
	}
	_, err = out.Write(r.exported.Bytes())
	return err
}

// newKeygenRun prepares a run.
func newKeygenRun(v, line *optionValues, renew bool, say io.Writer) (*keygenRun, error) {
	r := &keygenRun{opt: v, renew: renew, say: say, now: time.Now(), dir: keydir.New(".")}
	r.stamp = ntpSeconds(r.now)
	system, err := os.Hostname()
	if err != nil {
		return nil, err
	}
	if v.has("keysdir") {
		r.dir = keydir.New(filepath.Clean(v.text("keysdir")))
	}
	if err := r.allowed(); err != nil {
		return nil, err
	}
	if r.names, err = namesOf(v, system); err != nil {
		return nil, err
	}
	if r.limits, err = limitsOf(v); err != nil {
		return nil, err
	}
	if r.password, r.export, err = passwordOptions(v, line, system, r.warn); err != nil {
		return nil, err
	}
	r.encoding = keyfile.Encoding{Traditional: !v.has("pkcs8"), Cipher: keyfile.DefaultCipher}
	if v.has("cipher") {
		if r.encoding.Cipher, err = findCipher(v.text("cipher")); err != nil {
			return nil, err
		}
	}
	if file, ok := say.(*os.File); ok && terminal(file) {
		r.progress = showProgress(file)
	}
	return r, nil
}

// allowed refuses options that do not go with what is done.
func (r *keygenRun) allowed() error {
	if r.renew {
		for _, name := range []string{"id-key", "gq-params", "iffkey", "ident", "md5key", "pvt-cert", "export-passwd",
			"export-password-file", "sign-key", "trusted-cert", "mv-params", "mv-keys", "mv-client", "scheme"} {
			if r.opt.has(name) {
				return badOption("the %s option does not go with renew, which keeps what the certificate says", name)
			}
		}
	} else if r.opt.has("if-expires-within") {
		return badOption("the if-expires-within option goes with renew only")
	}
	switch r.opt.text("scheme") {
	case "", "iff", "gq", "mv":
	default:
		return badOption("scheme %q: want iff, gq or mv", clipped(r.opt.text("scheme")))
	}
	if r.opt.has("mv-client") && !r.opt.has("id-key") {
		return badOption("the mv-client option goes with -e only")
	}
	return nil
}

// findCipher checks the name of a cipher.
func findCipher(name string) (string, error) {
	for _, c := range keyfile.Ciphers() {
		if strings.EqualFold(c, name) {
			return c, nil
		}
	}
	return "", fmt.Errorf("unknown cipher %s, want one of %v", clipped(name), keyfile.Ciphers())
}

// showProgress returns a progress function that keeps one line of the terminal
// up to date.
func showProgress(file *os.File) identity.Progress {
	var last time.Time
	return func(what string, tried int) {
		if now := time.Now(); now.Sub(last) > 200*time.Millisecond {
			last = now
			fmt.Fprintf(file, "\r%s: %d candidates tried\x1b[K", what, tried)
		}
	}
}
