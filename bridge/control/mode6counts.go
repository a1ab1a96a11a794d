package control

import (
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Counts are the figures of ntpq's lists sysstats, iostats, monstats, authinfo,
// kerninfo, timerstats and ntsinfo, with ntpd's meaning as far as there is one.
// Nothing sets them back: they count since the start.
type Counts struct {
	Uptime time.Duration

	System SystemCounts
	IO     IOCounts
	MRU    MRUCounts
	Keys   KeyCounts
	Kernel *unix.Timex // the kernel's clock; nil: it cannot be read
	Timer  TimerCounts
	NTS    *NTSCounts // nil: neither a server nor a client of NTS
}

// SystemCounts is sysstats.
type SystemCounts struct {
	Received, Current, Older uint64 // packets; of version 4; of 1 to 3
	Version1                 uint64
	BadForm, BadAuth         uint64
	Declined, Denied         uint64
	Limited, Kissed          uint64
	Processed                uint64 // answers of sources whose time was looked at
	Queries                  uint64 // of mode 6
}

// IOCounts is iostats. A buffer is room for one packet in a batch.
type IOCounts struct {
	Buffers         uint64
	Dropped         uint64 // for want of room: in the kernel's queue, in the slow lane
	Received, Sent  uint64
	SendFailed      uint64
	Wakeups, Useful uint64 // of those who wait for packets; of them with packets
}

// MRUCounts is monstats: the clients that mrulist shows.
type MRUCounts struct {
	Enabled               bool
	Clients, Most, Room   int
	ClientLen             int           // octets, about
	Retention, Oldest     time.Duration // until one is forgotten; 0: not known
	New, Dropped, Crowded uint64        // Crowded: for whom there was no room
}

// KeyCounts is authinfo.
type KeyCounts struct {
	Keys               int
	Lookups, Unknown   uint64
	Encrypted, Decoded uint64 // MACs made and looked at
}

// TimerCounts is timerstats.
type TimerCounts struct {
	Overruns uint64 // seconds that found the last one's work not done
	Sent     uint64 // requests and broadcasts of associations
}

// NTSCounts is ntpsec's ntsinfo.
type NTSCounts struct {
	ClientSent, ClientGood, ClientBad uint64
	ServerGood, ServerBad, ServerSent uint64
	Issued                            uint64 // cookies of key establishments
	Current, Old, Undecoded           uint64 // cookies that came: under the key in use, under a former one, under none
	KEGood, KENoTLS, KEBad            uint64
	ProbesGood                        uint64 // key establishments as a client
}

// counted makes a variable of a figure.
func counted(name string, figure func(*Counts) uint64) systemVariable {
	return systemVariable{name, func(w *queryWriter, n string, s *SystemVariables) {
		if c := s.counts(); c != nil {
			w.uint(n, figure(c))
		}
	}}
}

// ofNTS makes a variable of a figure of NTS: 0 where that is off.
func ofNTS(name string, figure func(*NTSCounts) uint64) systemVariable {
	return counted(name, func(c *Counts) uint64 {
		if c.NTS == nil {
			return 0
		}
		return figure(c.NTS)
	})
}

// ofKernel makes a variable of a figure of the kernel's clock, as ntpd shows
// it: by %g.
func ofKernel(name string, figure func(*unix.Timex) float64) systemVariable {
	return systemVariable{name, func(w *queryWriter, n string, s *SystemVariables) {
		if c := s.counts(); c != nil && c.Kernel != nil {
			w.raw(n, strconv.FormatFloat(figure(c.Kernel), 'g', 6, 64))
		}
	}}
}

// counts returns the figures, which are gathered for a request that names one.
func (s *SystemVariables) counts() *Counts {
	if s.Counts == nil {
		return nil
	}
	return s.Counts()
}

func seconds(d time.Duration) uint64 { return uint64(max(d, 0) / time.Second) }

func since(c *Counts) uint64 { return seconds(c.Uptime) }

func nothing(*Counts) uint64 { return 0 }

func unvalued(names ...string) (list []systemVariable) {
	for _, name := range names {
		list = append(list, systemVariable{name, noValue[SystemVariables]})
	}
	return list
}

// mruVariables are monstats'. The mark of what is on is 3, as ntpd's is (on by
// default and for the limits).
var mruVariables = []systemVariable{
	{"mru_enabled", func(w *queryWriter, n string, s *SystemVariables) {
		if c := s.counts(); c != nil && c.MRU.Enabled {
			w.hex(n, 3)
		} else if c != nil {
			w.hex(n, 0)
		}
	}},
	counted("mru_depth", func(c *Counts) uint64 { return uint64(c.MRU.Clients) }),
	counted("mru_deepest", func(c *Counts) uint64 { return uint64(c.MRU.Most) }),
	counted("mru_mindepth", func(c *Counts) uint64 { return uint64(c.MRU.Room) }), // only for want of room is one forgotten sooner
	counted("mru_maxage", func(c *Counts) uint64 { return seconds(c.MRU.Retention) }),
	counted("mru_maxdepth", func(c *Counts) uint64 { return uint64(c.MRU.Room) }),
	counted("mru_mem", func(c *Counts) uint64 { return kilobytes(c.MRU.Clients, c.MRU.ClientLen) }),
	counted("mru_maxmem", func(c *Counts) uint64 { return kilobytes(c.MRU.Room, c.MRU.ClientLen) }),
}

func kilobytes(n, octets int) uint64 { return (uint64(n)*uint64(octets) + 512) / 1024 }

// systemCountVariables are sysstats'.
var systemCountVariables = []systemVariable{
	counted("ss_uptime", since),
	counted("ss_reset", since),
	counted("ss_received", func(c *Counts) uint64 { return c.System.Received }),
	counted("ss_thisver", func(c *Counts) uint64 { return c.System.Current }),
	counted("ss_oldver", func(c *Counts) uint64 { return c.System.Older }),
	counted("ss_badformat", func(c *Counts) uint64 { return c.System.BadForm }),
	counted("ss_badauth", func(c *Counts) uint64 { return c.System.BadAuth }),
	counted("ss_declined", func(c *Counts) uint64 { return c.System.Declined }),
	counted("ss_restricted", func(c *Counts) uint64 { return c.System.Denied }),
	counted("ss_limited", func(c *Counts) uint64 { return c.System.Limited }),
	counted("ss_kodsent", func(c *Counts) uint64 { return c.System.Kissed }),
	counted("ss_processed", func(c *Counts) uint64 { return c.System.Processed }),
	{"ss_lamport", noValue[SystemVariables]},
	{"ss_tsrounding", noValue[SystemVariables]},
}

// keyVariables are authinfo's. No key is kept aside, and none expires.
var keyVariables = []systemVariable{
	counted("authkeys", func(c *Counts) uint64 { return uint64(c.Keys.Keys) }),
	counted("authfreek", nothing),
	counted("authklookups", func(c *Counts) uint64 { return c.Keys.Lookups }),
	counted("authknotfound", func(c *Counts) uint64 { return c.Keys.Unknown }),
	counted("authkuncached", nothing),
	counted("authkexpired", nothing),
	counted("authencrypts", func(c *Counts) uint64 { return c.Keys.Encrypted }),
	counted("authdecrypts", func(c *Counts) uint64 { return c.Keys.Decoded }),
	counted("authreset", since),
}

// perMillion are the kernel's frequencies in parts per million.
func perMillion(v int64) float64 { return float64(v) / 65536 }

// kernelMillis are the kernel's times that depend on its unit, milliseconds.
func kernelMillis(k *unix.Timex, v int64) float64 {
	if k.Status&unix.STA_NANO != 0 {
		return float64(v) * 1e-6
	}
	return float64(v) * 1e-3
}

// kernelVariables are kerninfo's.
var kernelVariables = []systemVariable{
	ofKernel("koffset", func(k *unix.Timex) float64 { return kernelMillis(k, k.Offset) }),
	ofKernel("kfreq", func(k *unix.Timex) float64 { return perMillion(k.Freq) }),
	ofKernel("kmaxerr", func(k *unix.Timex) float64 { return float64(k.Maxerror) * 1e-3 }),
	ofKernel("kesterr", func(k *unix.Timex) float64 { return float64(k.Esterror) * 1e-3 }),
	{"kstflags", func(w *queryWriter, n string, s *SystemVariables) {
		if c := s.counts(); c != nil && c.Kernel != nil {
			w.quoted(n, kernelFlags(c.Kernel.Status))
		}
	}},
	ofKernel("ktimeconst", func(k *unix.Timex) float64 { return float64(k.Constant) }),
	ofKernel("kprecis", func(k *unix.Timex) float64 { return float64(k.Precision) * 1e-3 }),
	ofKernel("kfreqtol", func(k *unix.Timex) float64 { return perMillion(k.Tolerance) }),
	ofKernel("kppsfreq", func(k *unix.Timex) float64 { return perMillion(k.Ppsfreq) }),
	ofKernel("kppsstab", func(k *unix.Timex) float64 { return perMillion(k.Stabil) }),
	ofKernel("kppsjitter", func(k *unix.Timex) float64 { return kernelMillis(k, k.Jitter) }),
	ofKernel("kppscalibdur", func(k *unix.Timex) float64 {
		if k.Shift == 0 {
			return 0
		}
		return float64(uint64(1) << min(uint32(k.Shift), 63))
	}),
	ofKernel("kppscalibs", func(k *unix.Timex) float64 { return float64(k.Calcnt) }),
	ofKernel("kppscaliberrs", func(k *unix.Timex) float64 { return float64(k.Errcnt) }),
	ofKernel("kppsjitexc", func(k *unix.Timex) float64 { return float64(k.Jitcnt) }),
	ofKernel("kppsstbexc", func(k *unix.Timex) float64 { return float64(k.Stbcnt) }),
}

// kernelFlags are the words of ntpd for the status of the kernel's clock, in
// the order of the bits.
func kernelFlags(status int32) string {
	words := []string{"pll", "ppsfreq", "ppstime", "fll", "ins", "del", "unsync", "freqhold", "ppssignal", "ppsjitter", "ppswander",
		"ppserror", "clockerr", "nano", "mode=fll", "src=B"}
	var set []string
	for bit, word := range words {
		if status>>bit&1 != 0 {
			set = append(set, word)
		}
	}
	return strings.Join(set, " ")
}

// ioVariables are iostats' and timerstats'.
var ioVariables = []systemVariable{
	counted("iostats_reset", since),
	counted("total_rbuf", func(c *Counts) uint64 { return c.IO.Buffers }),
	counted("free_rbuf", func(c *Counts) uint64 { return c.IO.Buffers }),
	counted("used_rbuf", nothing), // a batch is worked off before the next is read
	counted("rbuf_lowater", nothing),
	counted("io_dropped", func(c *Counts) uint64 { return c.IO.Dropped }),
	counted("io_ignored", nothing), // no address is listened on to ignore what comes
	counted("io_received", func(c *Counts) uint64 { return c.IO.Received }),
	counted("io_sent", func(c *Counts) uint64 { return c.IO.Sent }),
	counted("io_sendfailed", func(c *Counts) uint64 { return c.IO.SendFailed }),
	counted("io_wakeups", func(c *Counts) uint64 { return c.IO.Wakeups }),
	counted("io_goodwakeups", func(c *Counts) uint64 { return c.IO.Useful }),
	counted("timerstats_reset", since),
	counted("timer_overruns", func(c *Counts) uint64 { return c.Timer.Overruns }),
	counted("timer_xmts", func(c *Counts) uint64 { return c.Timer.Sent }),
}

// ntpsecVariables are the names that only ntpsec's ntpq asks for. What has no
// value here it leaves out.
func ntpsecVariables() (list []systemVariable) {
	list = []systemVariable{
		{"rootdist", func(w *queryWriter, n string, s *SystemVariables) { w.millis(n, s.RootDelay/2+s.RootDispersion, 3) }},
		counted("ss_numctlreq", func(c *Counts) uint64 { return c.System.Queries }),
		counted("ss_ver1", func(c *Counts) uint64 { return c.System.Version1 }),
	}
	list = append(list, unvalued("ss_ver1client", "ss_ver1zero", "ss_ver1symm")...)
	for _, v := range systemCountVariables[1:12] { // what came since the last reset: there is none
		list = append(list, systemVariable{v.name + "_r", v.put})
	}
	list = append(list, counted("ss_ver1_r", func(c *Counts) uint64 { return c.System.Version1 }),
		counted("mru_new", func(c *Counts) uint64 { return c.MRU.New }),
		counted("mru_none", func(c *Counts) uint64 { return c.MRU.Crowded }),
		systemVariable{"mru_oldest_age", func(w *queryWriter, n string, s *SystemVariables) {
			if c := s.counts(); c != nil && c.MRU.Oldest > 0 {
				w.uint(n, seconds(c.MRU.Oldest))
			}
		}})
	list = append(list, unvalued("ss_ver1client_r", "ss_ver1zero_r", "ss_ver1symm_r", "mru_hashslots", "mru_minage", "mru_exists",
		"mru_recycleold", "mru_recyclefull", "authdigestencrypts", "authcmacencrypts", "authdigestdecrypts", "authdigestfails",
		"authcmacdecrypts", "authcmacfails")...)
	return append(list, ntsVariables()...)
}

// ntsVariables are ntsinfo's. How long key establishments took is not known.
func ntsVariables() []systemVariable {
	list := []systemVariable{
		ofNTS("nts_client_send", func(c *NTSCounts) uint64 { return c.ClientSent }),
		ofNTS("nts_client_recv_good", func(c *NTSCounts) uint64 { return c.ClientGood }),
		ofNTS("nts_client_recv_bad", func(c *NTSCounts) uint64 { return c.ClientBad }),
		ofNTS("nts_server_recv_good", func(c *NTSCounts) uint64 { return c.ServerGood }),
		ofNTS("nts_server_recv_bad", func(c *NTSCounts) uint64 { return c.ServerBad }),
		ofNTS("nts_server_send", func(c *NTSCounts) uint64 { return c.ServerSent }),
		ofNTS("nts_cookie_make", func(c *NTSCounts) uint64 { return c.Issued }),
		ofNTS("nts_cookie_decode_total", func(c *NTSCounts) uint64 { return c.Current + c.Old + c.Undecoded }),
		ofNTS("nts_cookie_decode_current", func(c *NTSCounts) uint64 { return c.Current }),
		ofNTS("nts_cookie_decode_old", func(c *NTSCounts) uint64 { return c.Old }),
		ofNTS("nts_cookie_decode_error", func(c *NTSCounts) uint64 { return c.Undecoded }),
		ofNTS("nts_ke_serves_good", func(c *NTSCounts) uint64 { return c.KEGood }),
		ofNTS("nts_ke_serves_nossl", func(c *NTSCounts) uint64 { return c.KENoTLS }),
		ofNTS("nts_ke_serves_bad", func(c *NTSCounts) uint64 { return c.KEBad }),
		ofNTS("nts_ke_probes_good", func(c *NTSCounts) uint64 { return c.ProbesGood }),
	}
	return append(list, unvalued("nts_cookie_not_server", "nts_cookie_decode_old2", "nts_cookie_decode_older",
		"nts_cookie_decode_too_old", "nts_ke_serves_good_wall", "nts_ke_serves_good_cpu", "nts_ke_serves_nossl_wall",
		"nts_ke_serves_nossl_cpu", "nts_ke_serves_bad_wall", "nts_ke_serves_bad_cpu", "nts_ke_probes_bad")...)
}
