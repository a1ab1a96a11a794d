package keygen

import "strings"

// ParseArgs reads a command line by the rules of ntp-keygen's option
// parser: letters may be bundled, an argument follows its letter directly or
// as the next word, or a long name behind "=" or as the next word.
func ParseArgs(args []string) (*Values, error) {
	v := new(Values)
	for len(args) > 0 {
		word := args[0]
		args = args[1:]
		switch {
		case word == "--" && len(args) == 0:
			return v, nil
		case word == "--" || word == "-" || !strings.HasPrefix(word, "-"):
			return nil, badOption("Command line arguments are not allowed.")
		case strings.HasPrefix(word, "--"):
			rest, err := v.long(word[2:], args)
			if err != nil {
				return nil, err
			}
			args = rest
		default:
			rest, err := v.letters(word[1:], args)
			if err != nil {
				return nil, err
			}
			args = rest
		}
	}
	return v, nil
}

// long reads a long option and returns the words behind it and its argument.
func (v *Values) long(word string, next []string) ([]string, error) {
	name, arg, hasArg := strings.Cut(word, "=")
	o, err := findLong(name)
	if err != nil {
		return nil, err
	}
	if o.value == "" && hasArg {
		return nil, badOption("The '%s' option cannot have an argument.", o.name)
	}
	if o.value != "" && !hasArg {
		if arg, next, err = o.argument(next); err != nil {
			return nil, err
		}
	}
	return next, v.add(o, arg)
}

// letters reads a bundle of single-letter options.
func (v *Values) letters(bundle string, next []string) ([]string, error) {
	for len(bundle) > 0 {
		o := findFlag(bundle[0])
		if o == nil {
			return nil, badOption("illegal option -- %s", clipped(bundle[:1]))
		}
		bundle = bundle[1:]
		arg := ""
		if o.value != "" {
			if arg = bundle; arg == "" {
				var err error
				if arg, next, err = o.argument(next); err != nil {
					return nil, err
				}
			}
			bundle = ""
		}
		if err := v.add(o, arg); err != nil {
			return nil, err
		}
	}
	return next, nil
}

// argument takes an option's argument from the next word. One that may be
// missing does not begin with "-".
func (o *option) argument(next []string) (string, []string, error) {
	if o.optional && (len(next) == 0 || strings.HasPrefix(next[0], "-")) {
		return "", next, nil
	}
	if len(next) == 0 {
		return "", nil, badOption("The '%s' option requires an argument.", o.name)
	}
	return next[0], next[1:], nil
}
