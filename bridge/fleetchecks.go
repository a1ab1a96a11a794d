package bridge

import (
	"context"
	"fmt"
	"os"
	"slices"

	"ntsbridge/bridge/fleet/site"

	"ntsbridge/bridge/config"
	"ntsbridge/bridge/fleet/plan"
	"ntsbridge/bridge/material"
)

// checkPlan says what is wrong with fleet.plan. It never keeps anything from
// being served: only what was declared with `fleet apply` counts.
func (p *parts) checkPlan() {
	p.checkOthers()
	p.checkSite()
	path := p.cfg.Fleet.Plan
	if path == "" {
		return
	}
	text, err := os.ReadFile(path)
	if err != nil {
		p.set.Find(material.Warning, "fleet.plan", err)
		return
	}
	if _, findings := plan.Parse(path, text); findings.Err() != nil {
		p.set.Find(material.Warning, "fleet.plan", findings.Err())
	}
}

// checkOthers says which of fleet.other_gateways cannot be read now.
func (p *parts) checkOthers() {
	for i, path := range p.cfg.Fleet.OtherGateways {
		if _, errs := readOthers([]string{path}); len(errs) > 0 {
			p.set.Find(material.Warning, fmt.Sprintf("fleet.other_gateways[%d]", i), errs[0])
		}
	}
}

// checkSite says what is wrong with fleet.etcd. It never keeps anything from
// being served.
func (p *parts) checkSite() {
	e := &p.cfg.Fleet.Etcd
	if !e.Enabled() {
		return
	}
	if err := stranger(e); err != nil {
		p.set.Find(material.NotServed, "fleet.etcd.gateways", err)
	}
	p.checkSecrets()
	for _, err := range site.Check(context.Background(), e, false) {
		p.set.Find(material.Warning, "fleet.etcd", err)
	}
}

// stranger says that this gateway is none of those that are declared.
func stranger(e *config.Etcd) error {
	if slices.Contains(e.Names(), e.Name) {
		return nil
	}
	return fmt.Errorf("has no %s, which is the name of this gateway: it agrees with nobody; add it, or write fleet.etcd.name", e.Name)
}

// tryEtcd asks etcd whether it is there.
func tryEtcd(p *parts, report *material.Report, set *material.Set) {
	cfg := p.cfg
	offline := site.Check(context.Background(), &cfg.Fleet.Etcd, false)
	live := site.Check(context.Background(), &cfg.Fleet.Etcd, true)
	for _, err := range live[min(len(offline), len(live)):] {
		report.Findings = append(report.Findings, set.Finding(material.Warning, "fleet.etcd.endpoints", err))
	}
	if len(live) > len(offline) || !cfg.Fleet.Etcd.Enabled() {
		return
	}
	at := p.fleetConfig().Addresses
	for _, err := range site.CheckOthers(context.Background(), &cfg.Fleet.Etcd, at.Scheme()) {
		report.Findings = append(report.Findings, set.Finding(material.Warning, "fleet.privacy", err))
	}
}

// checkSecrets says what keeps secrets from being handed out.
func (p *parts) checkSecrets() {
	e := &p.cfg.Fleet.Etcd
	if e.Secrets != config.SecretsEtcd {
		return
	}
	for i, g := range e.Gateways {
		if _, err := site.ParseKey(g.Key); err != nil {
			p.set.Find(material.NotServed, fmt.Sprintf("fleet.etcd.gateways[%d].key", i), err)
		}
	}
	if _, err := ownKey(p.cfg); err != nil {
		p.set.Find(material.NotServed, "fleet.etcd.secrets", err)
	}
}
