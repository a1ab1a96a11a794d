package server

import (
	"fmt"
	"slices"

	"ntsbridge/bridge/config"
	"ntsbridge/bridge/convert/draft"
	"ntsbridge/bridge/convert/restrict"
)

// prove reads what is to be written as the server will. It returns an error if
// an option is not what was meant, or if the access rules give anybody more
// than the report says.
func (c *writer) prove(text []byte) error {
	read, err := config.Parse("the result", "/", text)
	if err != nil {
		return fmt.Errorf("the result is not accepted: %w", err)
	}
	if at := draft.Difference(c.Draft.Config, read); at != "" {
		return fmt.Errorf("the option %s is read in another way than it was meant", at)
	}
	if c.Report.Access == nil {
		return nil
	}
	table, err := read.AccessTable()
	if err != nil {
		return err
	}
	for _, d := range restrict.Compare(c.Model.Restricts, table).Differences {
		if d.Laxer && !slices.Contains(c.Report.Access.Differences, d) {
			return fmt.Errorf("the result gives %s more than before (%s; now %s)", d.Address, d.Old, d.New)
		}
	}
	return nil
}
