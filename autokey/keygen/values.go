package keygen

// Values is a set of options with their arguments, by long name. The zero value
// has none.
type Values struct {
	args  map[string][]string
	order []string // names in the order of their first appearance
}

// Verbose reports whether more is to be told of what is made.
func (v *Values) Verbose() bool { return v.Has("debug-level") || v.number("set-debug-level", 0) > 0 }

// Has reports whether an option was given.
func (v *Values) Has(name string) bool { return len(v.args[name]) > 0 }

// Text returns the argument of an option, the last one if it came several
// times; empty without.
func (v *Values) Text(name string) string {
	if all := v.args[name]; len(all) > 0 {
		return all[len(all)-1]
	}
	return ""
}

// number returns the argument of an integer option, or fallback without. It
// was checked by add.
func (v *Values) number(name string, fallback int) int {
	if !v.Has(name) {
		return fallback
	}
	n, err := parseNumber(v.Text(name))
	if err != nil {
		return fallback
	}
	return n
}

// add puts an option into the set after checking its argument.
func (v *Values) add(o *option, arg string) error {
	if o.number {
		if err := o.check(arg); err != nil {
			return err
		}
	}
	if v.Has(o.name) && !o.many {
		return badOption("only one %s option allowed", o.name)
	}
	v.set(o.name, append(v.args[o.name], arg))
	return nil
}

// set replaces the arguments of an option.
func (v *Values) set(name string, args []string) {
	if v.args == nil {
		v.args = make(map[string][]string)
	}
	if len(v.args[name]) == 0 {
		v.order = append(v.order, name)
	}
	v.args[name] = args
}

// Over lets the options of higher go before those of v.
func (v *Values) Over(higher *Values) {
	for _, name := range higher.order {
		v.set(name, higher.args[name])
	}
}

// All returns the arguments of an option that may come several times.
func (v *Values) All(name string) []string { return v.args[name] }
