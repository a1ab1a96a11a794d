package config

// Origin is where an option stands.
type Origin struct {
	File string // or $VARIABLE, or --flag
	Line int    // from 1; 0 if there is none
}

// origins are those of options, by path.
type origins map[string]Origin

func (o origins) of(path string) Origin {
	for path != "" {
		if at, ok := o[path]; ok {
			return at
		}
		path = parent(path)
	}
	return Origin{}
}

// at makes all origins those of a text without lines.
func (o origins) at(name string) {
	for path := range o {
		o[path] = Origin{File: name}
	}
}

// parent cuts the last name or index off a path.
func parent(path string) string {
	for i := len(path) - 1; i >= 0; i-- {
		if path[i] == '.' || path[i] == '[' {
			return path[:i]
		}
	}
	return ""
}
