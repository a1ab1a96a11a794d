package report

import (
	"fmt"
	"slices"
	"strings"
)

// ansibleGroup is a group of an Ansible inventory.
type ansibleGroup struct {
	Hosts    []string `json:"hosts,omitempty"`
	Children []string `json:"children,omitempty"`
}

// Ansible returns a dynamic inventory as ansible-inventory reads it: each client
// with its row as variables, in groups by means (means_nts, means_key_5,
// means_autokey, means_none, legacy, moved), by label (owner_..., site_...) and
// by program. Clients without an address of their own are left out.
func Ansible(rows []*Row) map[string]any {
	vars := make(map[string]any)
	groups := make(map[string][]string)
	for _, r := range rows {
		if strings.ContainsAny(r.Address, "/:") && !isAddress(r) {
			continue
		}
		host := r.Address
		v := map[string]any{"ansible_host": r.Address, "ntsbridge": r}
		if len(r.Names) > 0 && strings.Contains(r.Names[0], ".") {
			host = r.Names[0]
		}
		if _, twice := vars[host]; twice {
			host = r.Address
		}
		vars[host] = v
		for _, g := range r.groups() {
			if !slices.Contains(groups[g], host) {
				groups[g] = append(groups[g], host)
			}
		}
	}
	out := map[string]any{"_meta": map[string]any{"hostvars": vars}}
	all := []string{"ungrouped"}
	for g, hosts := range groups {
		slices.Sort(hosts)
		out[g] = ansibleGroup{Hosts: hosts}
		all = append(all, g)
	}
	slices.Sort(all)
	out["all"] = ansibleGroup{Children: all}
	return out
}

// groups are the Ansible groups of a client.
func (r *Row) groups() (list []string) {
	isLegacy := false
	for i := range r.Means {
		m := &r.Means[i]
		g := "means_" + m.Kind
		if m.Kind != "nts" {
			isLegacy = true
		}
		list = append(list, g)
		if m.Kind == "symmetric" {
			list = append(list, groupName("key", fmt.Sprint(m.Key)))
		}
		if m.Group != "" {
			list = append(list, groupName("autokey", m.Group))
		}
	}
	if isLegacy {
		list = append(list, "legacy")
	} else if len(r.Means) > 0 {
		list = append(list, "moved")
	}
	for kind, word := range map[string]string{"owner": r.Label.Owner, "site": r.Label.Site} {
		if word != "" {
			list = append(list, groupName(kind, word))
		}
	}
	for i := range r.Means {
		if p := r.Means[i].Implementation; p != "" {
			list = append(list, groupName("program", p))
		}
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// groupName makes a name that Ansible takes for a group: letters, digits and
// underscores.
func groupName(kind, word string) string {
	clean := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9':
			return r
		case r >= 'A' && r <= 'Z':
			return r + 'a' - 'A'
		}
		return '_'
	}, word)
	return kind + "_" + clean
}
