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
	list = append(list, checkShared(name, p, w.Labels)...)
	for i, g := range p.Groups {
		look(g.Line, fmt.Sprintf("groups[%d]", i), &g.Selector, false)
	}
	return list
}

// checkShared finds lines of labels that give the same clients to two groups, of
// which the one that comes first in the plan decides.
func checkShared(name string, p *plan.Plan, labels *label.Set) (list plan.Findings) {
	said := map[[2]string]bool{}
	for _, e := range labels.All() {
		var first [plan.MeansCount]*plan.Group
		for i, g := range p.Groups {
			if !slices.ContainsFunc(g.Labels, e.Matches) && !slices.Contains(g.Prefixes, e.Prefix) {
				continue
			}
			for m := range plan.Means(plan.MeansCount) {
				if g.Targets[m].Line == 0 || m == plan.Symmetric && len(g.Keys) > 0 || m == plan.Autokey && len(g.AutokeyGroups) > 0 {
					continue
				}
				if first[m] == nil {
					first[m] = g
				} else if pair := [2]string{first[m].Name, g.Name}; !said[pair] {
					said[pair] = true
					list = append(list, finding(name, g.Line, fmt.Sprintf("groups[%d]", i), plan.Warning,
						"%v (%v) is in the group %s by %v, too, which comes first in the plan, so its stage counts", e.Prefix, e, first[m].Name, m))
				}
			}
		}
	}
	return list
}

func finding(name string, line int, path string, grade plan.Grade, format string, args ...any) plan.Finding {
	f := plan.Finding{Grade: grade}
	f.File, f.Line, f.Path, f.Text = name, line, path, fmt.Sprintf(format, args...)
	return f
}
