package bridge

import (
	"errors"
	"path/filepath"
	"time"

	"github.com/hashicorp/go-hclog"

	"ntsbridge/bridge/clock"
	"ntsbridge/bridge/config"
	"ntsbridge/bridge/follow"
	"ntsbridge/bridge/material"
	"ntsbridge/bridge/statedir"
)

// load does everything of a start that can fail before anything is opened, and
// makes the state directory's files lasting, under the lock that no second
// daemon has.
func load(cfg *config.Config, log hclog.Logger, now time.Time, passed *Passed) (*parts, *statedir.Lock, error) {
	p, set := build(cfg, nil, log, now)
	findings := append(set.Findings, material.Trial(cfg, passed.has)...)
	logFindings(log, findings)
	if err := findings.Err(); err != nil {
		return nil, nil, err
	}
	if err := errors.Join(statedir.MakeDir(cfg.StateDir, 0o700), statedir.MakeDir(cfg.RunDir, 0o755)); err != nil {
		return nil, nil, err
	}
	lock, err := statedir.LockDirs(cfg.RunDir, cfg.StateDir)
	if err != nil {
		return nil, nil, err
	}
	if err := p.commit(); err != nil {
		return nil, nil, errors.Join(err, lock.Close())
	}
	statedir.Clean(cookieDir(cfg))
	for _, path := range []string{cfg.Clock.DriftFile, cfg.NTS.Cookies.PreviousSecretFile} {
		if path != "" {
			statedir.Clean(filepath.Dir(path), path)
		}
	}
	return p, lock, nil
}

// Check is a start without serving: it loads and makes everything that a start
// would, asks the machine for what it needs, and reports. offline does not ask
// the machine. Nothing is written.
func Check(cfg *config.Config, file string, options Options, offline bool) *material.Report {
	report := material.NewReport(file)
	p, set := build(cfg, nil, hclog.NewNullLogger(), time.Now())
	report.Add(set)
	if !offline {
		report.Findings = append(report.Findings, material.Trial(cfg, nil)...)
	}
	if p == nil {
		return report
	}
	if !offline {
		checkFastpath(cfg, set, report)
		tryEtcd(p, report, set)
	}
	// The clock of a daemon that runs is its own.
	options.NoClock = options.NoClock || offline || material.Running(cfg)
	if err := tryClock(cfg, p.leaps, options); err != nil {
		report.Findings = append(report.Findings, set.Finding(material.NoStart, "clock.mode", err))
	}
	return report
}

// tryClock prepares to follow sources and gives up at once.
func tryClock(cfg *config.Config, leaps follow.LeapConfig, options Options) error {
	precision := clock.MeasurePrecision(func() int64 { return time.Now().UnixNano() })
	c := follow.New(follow.Options{Precision: precision, NoClock: options.NoClock, Log: hclog.NewNullLogger()}, follow.Functions{})
	change, err := c.Prepare(cfg, leaps)
	if err != nil {
		return err
	}
	return change.Abort()
}
