package inventory

// names keeps each name once; numbers begin with 1.
type names struct {
	list     []string
	byName   map[string]uint16
	capacity int
}

// maxNameLen is how much of a name is kept, octets.
const maxNameLen = 64

func newNames(capacity int) *names {
	return &names{byName: make(map[string]uint16), capacity: min(capacity, 65535)}
}

// number returns the number of a name, 0 for the empty one and if there is no
// room.
func (n *names) number(name string) (number uint16, ok bool) {
	if name == "" {
		return 0, true
	}
	name = clean(name)
	if i, found := n.byName[name]; found {
		return i, true
	}
	if len(n.list) == n.capacity {
		return 0, false
	}
	n.list = append(n.list, name)
	n.byName[name] = uint16(len(n.list))
	return uint16(len(n.list)), true
}

func (n *names) name(number uint16) string {
	if number == 0 || int(number) > len(n.list) {
		return ""
	}
	return n.list[number-1]
}

// clean makes a name that came from the network fit for a table.
func clean(name string) string {
	b := []byte(name[:min(len(name), maxNameLen)])
	for i, c := range b {
		if c <= ' ' || c > '~' {
			b[i] = '?'
		}
	}
	return string(b)
}
