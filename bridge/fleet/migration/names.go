package migration

import (
	"fmt"
	"maps"
	"slices"

	"ntsbridge/bridge/fleet/label"
	"ntsbridge/bridge/fleet/plan"
	"ntsbridge/bridge/fleet/stage"
)

// checkNames finds labels of a plan that no file has, and Autokey groups that no
// client told. Whom a name with a slip was to protect would be refused, so that
// is no plan; a group by it has nobody, which is a warning.
func checkNames(name string, p *plan.Plan, w stage.Where) (list plan.Findings) {
	told := slices.Collect(maps.Values(w.Autokey))
	look := func(line int, path string, s *plan.Selector, protects bool) {
		grade, so := plan.Warning, "nobody is in the group by it"
		if protects {
			grade, so = plan.Wrong, "it protects nobody"
		}
		for _, l := range s.Labels {
			if !slices.ContainsFunc(w.Labels.All(), func(e *label.Label) bool { return e.Matches(l) }) {
				list = append(list, finding(name, line, path+".labels", grade,
					"no line of fleet.labels has %q, so %s: mend the name, or add it to a file of fleet.labels and reload", l, so))
			}
		}
		for _, a := range s.AutokeyGroups {
			if !slices.Contains(told, a) {
				list = append(list, finding(name, line, path+".autokey_groups", plan.Warning,
					"no client has told the Autokey group %q yet, so %s so far", a, so))
			}
		}
	}
	for i := range p.Protected {
		look(p.Protected[i].Line, fmt.Sprintf("protected[%d]", i), &p.Protected[i].Selector, true)
	}
	for i, g := range p.Groups {
		look(g.Line, fmt.Sprintf("groups[%d]", i), &g.Selector, false)
	}
	return list
}

func finding(name string, line int, path string, grade plan.Grade, format string, args ...any) plan.Finding {
	f := plan.Finding{Grade: grade}
	f.File, f.Line, f.Path, f.Text = name, line, path, fmt.Sprintf(format, args...)
	return f
}
