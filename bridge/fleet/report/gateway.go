package report

import (
	"fmt"
	"slices"

	"ntsbridge/bridge/fleet/inventory"
)

// ByGateway says of each means which gateways saw it. own is what the gateway
// that is asked, named self, knows of it; of returns what another one does.
func (r *Row) ByGateway(c *inventory.Client, self string, own *inventory.Client, names []string,
	of func(string, *inventory.Client) (inventory.Client, bool)) {
	add := func(name string, o *inventory.Client) {
		for i := range o.Means {
			m := &o.Means[i]
			for k := range r.Means {
				if r.Means[k].is(m) {
					r.Means[k].Gateways = append(r.Means[k].Gateways, GatewayUse{name, Time(m.Last)})
					break
				}
			}
		}
	}
	for i := range r.Means {
		r.Means[i].Gateways = nil
	}
	add(self, own)
	for _, name := range names {
		if o, ok := of(name, c); ok {
			add(name, &o)
		}
	}
}

// is tells whether a means of the inventory is this one.
func (m *Means) is(o *inventory.Means) bool { return m.Kind == o.Kind.String() && m.number == o.Key }

// lastBy is when a gateway saw a means last.
func (m *Means) lastBy(gateway string) Time {
	i := slices.IndexFunc(m.Gateways, func(g GatewayUse) bool { return g.Gateway == gateway })
	if i < 0 {
		return 0
	}
	return m.Gateways[i].Last
}

// gatewayFormat is a column of a table.
const gatewayFormat = " %-14s"

// SetGateways gives tables and CSV a column for each gateway. It is to be called
// before the first row.
func (t *Writer) SetGateways(names []string) {
	t.gateways = names
	switch t.format {
	case "table":
		t.out.Reset(t.to)
		header := []byte(TableHeader())
		header = header[:len(header)-1]
		for _, name := range names {
			header = fmt.Appendf(header, gatewayFormat, name)
		}
		_, _ = t.out.Write(append(header, '\n'))
	case "csv":
		t.out.Reset(t.to)
		t.csv = newCSV(t.out)
		_ = t.csv.Write(append(slices.Clone(CSVHeader), names...))
	}
}
