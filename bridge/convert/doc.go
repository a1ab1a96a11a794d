// Package convert reads the configuration that a site has (ntp.conf of ntpd
// 4.2.8p15 and of ntpsec, chrony.conf of chronyd 4.6) and writes what it needs:
// ntsbridge's YAML, and the configuration of the daemons that its clients will
// run. Nothing is dropped in silence: every physical line that was read comes
// back in the Report with what became of it.
//
// The grammar of ntp.conf is that of ntpd 4.2.8p15, errors included: a line
// that ntpd understands in part is understood in the same part here, and the
// report says both what was written and what ntpd made of it. Where a word of
// security was lost in that way, the conversion is refused until the operator
// has decided.
//
// What is written means what the daemon did: its defaults that are not ours are
// written out, access rules are compared with the restrict lists on every prefix
// boundary, and sources, broadcasts, trusted keys and strata with the input once
// more after the output was read back (Result.Prove and ProveMeaning).
//
// The package works on bytes. It opens no files (a Reader does), knows no clock
// and asks no name server, and it does not decide for the operator: what cannot
// be carried over is said, not guessed.
package convert
