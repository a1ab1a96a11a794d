package convert

// wordCase is a line whose last word, with its value, is asked about.
type wordCase struct{ before, line, word string }

// ntpWords are the words of ntp.conf's lines about sources, reference clocks
// and the clock.
func ntpWords() (list []wordCase) {
	base := ntpBase + "keys /etc/ntp.keys\ntrustedkey 5\nserver other.example.org\n"
	for _, w := range []string{"key 5", "minpoll 4", "maxpoll 8", "version 3", "burst", "noselect", "preempt", "prefer", "true", "xleave",
		"xmtnonce"} {
		list = append(list, wordCase{base, "server a.example.org iburst " + w, w})
	}
	list = append(list, wordCase{base, "server a.example.org iburst", "iburst"}, wordCase{base, "pool p.example.org iburst", "iburst"})
	for _, w := range []string{"minpoll 5", "maxpoll 9", "prefer", "noselect", "true", "mode 1"} {
		list = append(list, wordCase{base, "server 127.127.28.0 " + w, w})
	}
	for _, clock := range []string{"127.127.28.1", "127.127.22.0", "127.127.20.0", "127.127.46.0"} {
		for _, w := range []string{"time1 0.25", "time2 0.5", "stratum 3", "refid ABC", "flag1 1", "flag2 1", "flag3 1", "flag4 1"} {
			list = append(list, wordCase{base + "server " + clock + " minpoll 4\n", "fudge " + clock + " " + w, w})
		}
	}
	for _, w := range []string{"minsane 2", "maxdist 2.5", "mindist 0.01", "minclock 2", "maxclock 7", "floor 2", "ceiling 5", "cohort 1",
		"orphan 7", "orphanwait 60",
		"beacon 60", "basedate 2020-01-01", "bcpollbstep 1"} {
		list = append(list, wordCase{base, "tos " + w, w})
	}
	for _, w := range []string{"panic 500", "step 0.5", "stepfwd 0.5", "stepback 0.5", "stepout 600", "dispersion 20", "allan 10",
		"freq 3", "huffpuff 7200", "tick 10"} {
		list = append(list, wordCase{base, "tinker " + w, w})
	}
	return list
}

// chronyWords are those of chrony.conf.
func chronyWords() (list []wordCase) {
	base := "allow\nkeyfile /etc/chrony.keys\nserver other.example.org\n"
	for _, w := range []string{"key 5", "nts", "port 11123", "minpoll 4", "maxpoll 8", "iburst", "burst", "prefer", "trust", "require",
		"noselect", "xleave", "presend 6",
		"version 3", "offset 0.1", "asymmetry 0.2", "maxdelay 0.3", "maxdelayratio 2", "maxdelaydevratio 4", "minstratum 3", "ipv4",
		"filter 5", "copy", "offline",
		"maxsamples 8", "polltarget 10", "mindelay 0.001", "maxdelayquant 0.1", "extfield F323"} {
		list = append(list, wordCase{base, "server a.example.org " + w, w})
	}
	for _, w := range []string{"makestep 0.1 -1", "makestep 1 3", "maxchange 50 2 5", "maxslewrate 500", "maxdistance 1", "minsources 2",
		"maxclockerror 10", "leapsectz right/UTC",
		"leapsecmode slew", "hwtimestamp eth0", "authselectmode require", "driftfile /d", "dscp 10", "corrtimeratio 2",
		"maxupdateskew 50"} {
		list = append(list, wordCase{base, w, w})
	}
	return list
}
