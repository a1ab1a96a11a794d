// Package fastpath answers requests for time where packets arrive, before the
// network stack and the sockets: a BPF program at tcx's ingress of an interface,
// or as native XDP in its driver.
//
// The program (fastpath.bpf.c) answers what it fully understands: NTPv1 to v4
// in client mode, 48 octets alone or with the MAC of a symmetric key of MD5,
// SHA1 or AES128, over IPv4 and IPv6, at an address and port that the server
// listens on, under an access rule that allows it, without a step of the
// migration and within the rate limit. Everything else goes up untouched to the
// sockets, which answer as if nothing were before them: interleaved mode, other
// keys and wrong MACs, Autokey, NTS, kiss codes, mode 6, fragments, options, VLAN
// tags, and all of it whenever the clock is in doubt.
//
// # Truth
//
// The program tells time by a snapshot that the server renews 40 times a
// second: the system clock as a difference to the monotonic one, and the header
// that sockets would send. 100 ms without renewal, and it passes everything. It
// compares CLOCK_TAI with the monotonic clock for each answer (under load every
// 10 us), so that a step of the system clock, by whomever, ends its answers at
// once until the next snapshot. Around midnight (UTC), when leap seconds happen,
// the sockets answer.
// Its links are not pinned: when the process is gone, so is the program.
//
// Rules are compiled into a trie under a number that is switched as a whole.
// The rate limiter's buckets and the departures of interleaved mode are the
// server's own memory, mapped into both. What is counted and whom it was
// answered to is read from maps by the server's reports and the inventory.
//
// # Keys
//
// MD5 and SHA-1 are computed in the program, AES-CMAC by the kernel's own
// cbc(aes) (Linux 6.10; elsewhere those keys are the sockets'), which it lends to
// programs of a licence that goes with its own: hence that of the object. Tables
// of AES in the program would tell of the key by the time they take. Of a key
// the program has the digest's state behind the whole blocks of the secret and
// the rest of it, ready for a header (symkey.Image). Keys that only some clients
// may use, and those beyond the 4096th, are left to the sockets.
//
// These secrets lie in maps, which CAP_SYS_ADMIN can read (bpftool map dump), and
// who has that reads the memory of any process as well. They are overwritten when
// a key goes and at the end; after SIGKILL the kernel frees them as it does other
// memory of the process.
//
// Transmit timestamps of answers with a MAC are taken before it is computed: 0.3
// to 0.7 us early, as those of sockets are.
//
// # NTS
//
// At interfaces of XDPNTS the program of XDP gives requests with NTS to sockets
// of AF_XDP, one for each queue, and the server answers them by the handler that
// answers what comes by its sockets (bridge/fastpath/frames): only the network
// stack is left out. It chooses by the first extension field. In copy mode, over
// veth, an answer takes 0.54 to 0.56 of the CPU time that it takes by a socket at
// 60,000 a second in bursts of 16 (5.8 to 7.1 us of 11.8 to 13.1, with the thread
// that receives), and of an exchange with its client 0.54 to 0.66
// (go test -bench NTSByAFXDP ./bridge/server). Of a full core (ntpload compare)
// it takes 0.74 to 0.77 of the server's time and 0.75 to 0.80 of both.
//
// # Licence
//
// The object says "Dual MIT/GPL", which is said to the kernel alone: without it
// the kernel lends no cipher, and AES128 would be left to the sockets
// (fastpath.bpf.c). All else that it calls is open to every licence. Whoever
// gives this repository a licence of its own has to see that it allows to pass
// on this one file and its object under one of these two.
//
// # What it means
//
// Netfilter, tcpdump, rp_filter and the interface's protocol counters do not see
// requests that are answered here, nor does a filter of tc (clsact); other tcx
// programs that were there before do. An answer goes to the address of the link
// layer that the request came from. It is outside of any claim about FIPS, which
// plain time has no need of.
//
// Linux 6.6 and above. Loading it takes CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON;
// what has to be done later works by what is open already.
package fastpath
