package server

import (
	"slices"

	"ntsbridge/bridge/config"
	"ntsbridge/bridge/convert/job"
	"ntsbridge/bridge/convert/report"
)

// sourceWords are the words of a source, of all dialects, by the option that
// they become.
var sourceWords = map[string]func(*config.Source) any{
	"key": func(s *config.Source) any { return &s.Key }, "autokey": func(s *config.Source) any { return &s.Auth },
	"nts": func(s *config.Source) any { return &s.Auth }, "ident": func(s *config.Source) any { return &s.Ident },
	"ca": func(s *config.Source) any { return &s.TrustedCertificates }, "aead": func(s *config.Source) any { return &s.AEADs },
	"certset": func(s *config.Source) any { return &s.TrustedCertificates }, "ntsport": func(s *config.Source) any { return &s.NTSPort },
	"port": func(s *config.Source) any { return &s.Port }, "version": func(s *config.Source) any { return &s.Version },
	"minpoll": func(s *config.Source) any { return &s.MinPoll }, "maxpoll": func(s *config.Source) any { return &s.MaxPoll },
	"iburst": func(s *config.Source) any { return &s.IBurst }, "burst": func(s *config.Source) any { return &s.Burst },
	"prefer": func(s *config.Source) any { return &s.Prefer }, "noselect": func(s *config.Source) any { return &s.NoSelect },
	"true": func(s *config.Source) any { return &s.Trust }, "trust": func(s *config.Source) any { return &s.Trust },
	"require": func(s *config.Source) any { return &s.Require }, "xleave": func(s *config.Source) any { return &s.Interleaved },
	"presend": func(s *config.Source) any { return &s.Presend }, "bias": func(s *config.Source) any { return &s.Offset },
	"offset": func(s *config.Source) any { return &s.Offset }, "asymmetry": func(s *config.Source) any { return &s.Asymmetry },
	"maxdelay": func(s *config.Source) any { return &s.MaxDelay }, "maxdelayratio": func(s *config.Source) any { return &s.MaxDelayRatio },
	"maxdelaydevratio": func(s *config.Source) any { return &s.MaxDelayDevRatio },
	"minstratum":       func(s *config.Source) any { return &s.MinStratum }, "maxsources": func(s *config.Source) any { return &s.MaxSources },
	"ipv4": func(s *config.Source) any { return &s.Family }, "ipv6": func(s *config.Source) any { return &s.Family },
}

// said are the findings that speak of a word of a source.
var said = map[string][]string{
	"key": {"source-key", "duplicate-source", "refclock-option"}, "autokey": {"autokey-source", "refclock-option"}, "ident": {"autokey-source"},
	"prefer": {"noselect-wins"}, "true": {"noselect-wins", "true"}, "trust": {"noselect-wins"},
	"require": {"noselect-wins", "require-without-auth", "nts-option"}, "version": {"version", "refclock-option"},
	"iburst": {"option-iburst", "refclock-option"}, "burst": {"option-burst", "refclock-option"}, "xleave": {"option-xleave"},
	"presend": {"option-presend"}, "preempt": {"option-preempt"}, "xmtnonce": {"option-xmtnonce"}, "ttl": {"option-ttl"},
	"cert": {"nts-option"}, "ask": {"nts-option"}, "expire": {"nts-option"}, "noval": {"nts-noval"}, "aead": {"nts-aead"}, "ca": {"file-name"},
	"bias": {"bias"}, "certset": {"certset"}, "maxdelayquant": {"weighing"}, "mindelay": {"weighing"}, "filter": {"weighing"},
	"minsamples": {"weighing"}, "maxsamples": {"weighing"}, "polltarget": {"weighing"}, "maxunreach": {"maxunreach"}, "offline": {"offline"},
	"auto_offline": {"auto-offline"}, "copy": {"copy"}, "extfield": {"extfield"},
}

// neutral are words of which nothing is left where they say what holds anyway.
var neutral = map[string]func(*job.Source) bool{
	"version": func(s *job.Source) bool { return s.Version == 4 },
	"port":    func(s *job.Source) bool { return s.Port == 0 || s.Port == config.PortNTP },
	"ntsport": func(s *job.Source) bool { return s.NtsPort == config.PortNTSKE || !s.Nts },
	"certset": func(s *job.Source) bool { return s.CertSet == 0 },
	"key":     func(s *job.Source) bool { return s.Autokey || s.Nts },
	"offset":  func(s *job.Source) bool { return s.Offset == 0 }, "bias": func(s *job.Source) bool { return s.Offset == 0 },
	"asymmetry": func(s *job.Source) bool { return s.Asymmetry == 0 }, "maxdelay": func(s *job.Source) bool { return s.MaxDelay == 0 },
	"maxdelayratio":    func(s *job.Source) bool { return s.MaxDelayRatio == 0 },
	"maxdelaydevratio": func(s *job.Source) bool { return s.MaxDelayDevRatio == 0 },
	"minstratum":       func(s *job.Source) bool { return s.MinStratum == 0 },
	"maxsources":       func(s *job.Source) bool { return s.Kind != "pool" },
	"ident":            func(s *job.Source) bool { return !s.Autokey },
	"ca":               func(s *job.Source) bool { return !s.Nts }, "aead": func(s *job.Source) bool { return !s.Nts },
	"noval": func(s *job.Source) bool { return !s.Nts },
}

// words accounts for the words of a source that is written: each is an option,
// was spoken of, or says what holds anyway. The others are lost, and said to be.
func (c *writer) words(to *config.Source, src *job.Source) {
	r := c.Record(src.Line)
	for _, w := range src.Words {
		option, known := sourceWords[w]
		switch {
		case known && c.Draft.IsSet(option(to)), neutral[w] != nil && neutral[w](src):
			c.Ledger.Use(src.Line, w)
		case slices.ContainsFunc(r.Findings, func(f report.Finding) bool { return slices.Contains(said[w], f.Code) }):
			c.Ledger.Use(src.Line, w)
		}
	}
	c.Lost(src.Line, report.Unsupported, src.Words, "there is no such option")
}
