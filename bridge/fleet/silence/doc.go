// Package silence judges what it means that a client is silent, or goes on
// asking without being answered: whether it has another server, moved to NTS,
// was switched off, or is hurt.
//
// A judgement is of one means of one client, by what its program shows; most
// programs show nothing, and then it says so. The criteria and their limits
// are from a survey of 27 real clients under every kind of refusal. They count
// in the client's own poll interval P, and in U, its unanswered requests in a
// row. R is the time of a request of ntpd less the reference timestamp in it:
// how long ago its clock was last set by anybody.
//
//	FollowsUs      ntpd: its reference identifier is ours, R <= 12 P
//	HasAnother     ntpd: follows another server, R <= 16 P, and is answered by us;
//	               chrony: its poll, while it is refused; see below
//	FailedOver     the same with U >= 8; systemd-timesyncd: silent after 3 losses or a kiss
//	Hurt           ntpd: LI 3, stratum 0, once synchronised; or ours, R > 32 P and U >= 8;
//	               NTS: out of cookies, and NTS-KE failed; ntpd-rs: kissed, and silent
//	LostUs         ntpd-rs without NTS: U >= 8, and back at its first poll of 16 s
//	OutOfCookies   NTS: U >= 8, then NTS-KE within 2 P
//	Moved          NTS-KE and NTS packets, the old means silent for 4 P
//	SwitchedOff    nothing at all for max(20 P, 2 h), its last request answered
//	Answered       asks, and is answered; it shows no more
//	CannotTell     anything else
//
// The survey has 20 P for Hurt. ntpd 4.2.8p15 with a second server, whose samples
// it takes, was seen to fail over at up to 25 P: its clock filter uses the best of
// the last eight samples, so R may be 9 P when a refusal begins; some 11 P later
// it takes us for unreachable, and up to 9 P later it has a better sample of the
// other. Hence 32 P.
//
// chronyd 4.6.1 and 4.3 were watched while they were refused, at polls of 2 to
// 64 s: alone, with another server that it did not follow, and with one beside
// the one that it followed. Its requests have nothing but their poll in them,
// so that is all that it shows. One that follows another server asks less often
// after each four losses, from the first on. One that follows this server and
// has no other one does so after ten, then says "no selectable sources" in its
// log and climbs by four. One that has another, which it does not follow,
// climbs by ten from poll to poll for as long as it still trusts its last
// samples of this server (it failed over after 98 polls of the other, 4.3 after
// 40, and once at the eighth loss). So one that lets more than six losses go by
// between two longer polls, after the twelfth, has another server (Climb); that
// one climbs by four may mean that it has nobody, or that it has failed over:
// it is not called hurt. At its maxpoll none of them shows anything, however
// long it is refused. ntpsec sends a poll of 0, and ntpd-rs without NTS is back
// at 16 s after eight losses whether it has another server or not.
//
// A silence that began in a refusal is never called SwitchedOff, and what was
// not watched is not called a silence. Where several hosts are behind an
// address, the last request of one says nothing of the others.
//
// Pure: time is an argument.
package silence
