package convert

import (
	"fmt"
	"ntsbridge/bridge/access"
	"ntsbridge/bridge/convert/restrict"
	"slices"
)

// Prove compares the access rules of a configuration that was read back with
// the restrict lists of the input. It returns an error if the configuration is
// less strict anywhere than the report says.
func (r *Result) Prove(t *access.Table) error {
	if r.restricts == nil {
		return nil
	}
	again := restrict.Compare(r.restricts, t)
	for _, d := range again.Differences {
		if d.Laxer && !slices.Contains(r.Report.Access.Differences, d) {
			return fmt.Errorf("the result gives %s more than before (%s; now %s), and nothing is written; this is a mistake of ntsbridge, please report it", d.Address, d.Old, d.New)
		}
	}
	return nil
}
