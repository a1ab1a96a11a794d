package control

import "strings"

// variable is a name that can be asked for. put writes it; it writes nothing
// where there is no value.
type variable[T any] struct {
	name string
	put  func(w *queryWriter, name string, from *T)
}

// putVariables writes the variables that a request names, in the order of the
// table and each once, or the default ones if it names none.
func putVariables[T any](w *queryWriter, table, defaults []variable[T], names []byte, from *T) queryError {
	wanted := make([]bool, len(table))
	named := false
	for rest := string(names); ; {
		name, next, e := nextName(rest)
		if e != errNone {
			return e
		}
		if name == "" {
			break
		}
		i := indexVariable(table, name)
		if i < 0 {
			return errVariable
		}
		wanted[i], named, rest = true, true, next
	}
	if !named {
		for _, v := range defaults {
			v.put(w, v.name, from)
		}
		return errNone
	}
	for i, v := range table {
		if wanted[i] {
			v.put(w, v.name, from)
		}
	}
	return errNone
}

// nextName cuts the first name off a list; it is empty at the end. A value
// behind the name is passed over. White space may stand before a name, not
// behind it.
func nextName(list string) (name, rest string, e queryError) {
	list = strings.TrimLeft(list, ", \t\r\n\v\f")
	item, rest, _ := strings.Cut(list, ",")
	name, value, assigned := strings.Cut(item, "=")
	if len(value) > maxValueLen || assigned && name == "" {
		return "", "", errFormat
	}
	return name, rest, errNone
}

func indexVariable[T any](table []variable[T], name string) int {
	for i := range table {
		if table[i].name == name {
			return i
		}
	}
	return -1
}

// pick returns the variables with the given names; it is for tables of this
// package.
func pick[T any](table []variable[T], names ...string) []variable[T] {
	picked := make([]variable[T], len(names))
	for i, name := range names {
		picked[i] = table[indexVariable(table, name)]
	}
	return picked
}

// listed returns the names of a table, separated by commas, as ntpd lists them:
// those that it has room for.
func listed[T any](name string, table []variable[T]) string {
	var list strings.Builder
	room := queryDataLen - len(name) - len(`="`)
	for i := range table {
		if room-list.Len() <= len(table[i].name)+1 {
			break
		}
		if i > 0 {
			list.WriteByte(',')
		}
		list.WriteString(table[i].name)
	}
	return list.String()
}

// noValue is for names that ntpd knows and that never have a value here.
func noValue[T any](*queryWriter, string, *T) {}
