package server

import (
	"slices"
	"strings"

	"ntsbridge/bridge/config"
	"ntsbridge/bridge/convert/job"
	"ntsbridge/bridge/convert/report"
	"ntsbridge/bridge/convert/syntax"
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
	"minstratum":       func(s *config.Source) any { return &s.MinStratum },
	"maxsources":       func(s *config.Source) any { return &s.MaxSources },
	"ipv4":             func(s *config.Source) any { return &s.Family }, "ipv6": func(s *config.Source) any { return &s.Family },
}

// said are the findings that speak of a word of a source.
var said = map[string][]string{
	"key": {"source-key", "duplicate-source", "refclock-option"}, "autokey": {"autokey-source", "refclock-option"},
	"ident":  {"autokey-source"},
	"prefer": {"noselect-wins"}, "true": {"noselect-wins", "true"}, "trust": {"noselect-wins"},
	"require": {"noselect-wins", "require-without-auth", "nts-option"}, "version": {"version", "refclock-option"},
	"iburst": {"option-iburst", "refclock-option"}, "burst": {"option-burst", "refclock-option"}, "xleave": {"option-xleave"},
	"presend": {"option-presend"}, "preempt": {"option-preempt"}, "xmtnonce": {"option-xmtnonce"}, "ttl": {"option-ttl"},
	"cert": {"nts-option"}, "ask": {"nts-option"}, "expire": {"nts-option"}, "noval": {"nts-noval"}, "aead": {"nts-aead"},
	"ca":   {"file-name"},
	"bias": {"bias"}, "certset": {"certset"}, "maxdelayquant": {"weighing"}, "mindelay": {"weighing"}, "filter": {"weighing"},
	"minsamples": {"weighing"}, "maxsamples": {"weighing"}, "polltarget": {"weighing"}, "maxunreach": {"maxunreach"},
	"offline":      {"offline"},
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
	c.Ledger.Use(src.Line, "") // its address
	c.Lost(src.Line, report.Unsupported, src.Words, "there is no such option")
}

// clockWords accounts for the words of a reference clock and of its fudge lines,
// each on the line that has it.
func (c *writer) clockWords(src *job.Source) {
	if src.Refclock.Driver == 0 {
		return // of chronyd, whose words were spoken of when they were read
	}
	r := c.Record(src.Line)
	for _, s := range append([]*syntax.Statement{src.Line}, src.Refclock.Lines...) {
		words := job.NamedWords(s)
		for _, o := range s.Options {
			if clockWord(src, o) || slices.ContainsFunc(r.Findings, func(f report.Finding) bool {
				return slices.Contains(said[o.Name],
					f.Code)
			}) {
				c.Ledger.Use(s, o.Name)
			}
		}
		c.Lost(s, report.Folded, slices.DeleteFunc(slices.Clone(words), func(w string) bool { return !slices.Contains(meaningless, w) }),
			"it is about the program that reads the clock, or about statistics")
		c.Lost(s, report.Approximated, words, "a clock of this kind has no such option")
	}
}

// meaningless are words of reference clocks of which nothing is needed here.
var meaningless = []string{"flag3", "flag4", "minjitter", "mode", "baud", "subtype", "holdover"}

// clockWord reports whether a word became an option of a clock that is written,
// or says what holds anyway.
func clockWord(src *job.Source, o syntax.Option) bool {
	any := func(used func(config.ReferenceClock) bool) bool { return slices.ContainsFunc(src.Clocks, used) }
	switch o.Name {
	case "":
		return true
	case "minpoll", "unit":
		return true
	case "path", "ppspath":
		return any(func(k config.ReferenceClock) bool { return strings.HasSuffix(k.Device, o.Text) })
	case "maxpoll":
		return src.MaxPoll == src.MinPoll
	case "prefer":
		return any(func(k config.ReferenceClock) bool { return k.Prefer })
	case "noselect":
		return any(func(k config.ReferenceClock) bool { return k.NoSelect })
	case "true":
		return any(func(k config.ReferenceClock) bool { return k.Trust })
	case "refid":
		return any(func(k config.ReferenceClock) bool { return k.RefID != 0 })
	case "stratum":
		return any(func(k config.ReferenceClock) bool { return k.Stratum == int(o.Int) })
	case "time1", "time2":
		return o.Number() == 0 || any(func(k config.ReferenceClock) bool { return k.Offset == o.Number() })
	case "flag1":
		return o.Int == 0 || src.Refclock.Driver == job.NMEADriver
	case "flag2":
		return o.Int == 0 || any(func(k config.ReferenceClock) bool { return k.Clear })
	case "flag3", "flag4", "minjitter", "mode":
		return o.Number() == 0
	}
	return false
}
