package ntpconf

import "strings"

// follow is what ntpd's scanner expects behind a keyword.
type follow uint8

const (
	followToken   follow = iota // keywords, numbers and strings
	followString                // the next word is a string, whatever it looks like
	followStrings               // all words to the end of the line are
)

// Keywords are the words that ntpd 4.2.8p15 knows, lower case only.
var Keywords = makeKeywords()

func makeKeywords() map[string]follow {
	words := make(map[string]follow)
	for f, list := range map[follow]string{
		followToken: `-4 -6 ... age all allan allpeers auth autokey automax average bclient bcpollbstep beacon beep_delay
			broadcastclient broadcastdelay burst calibrate ceiling checkhash clockstats cohort controlkey crypto cryptostats
			ctl day default disable discard dispersion drop dscp duration enable end epeer filegen filenum flag1 flag2 flag3
			flag4 flake floor freq freq_offset fuzz huffpuff iburst ignore ignorehash incalloc incmem initalloc initmem
			interface io ippeerlimit ipv4 ipv6 jitter kernel key kod leapsmearinterval limited link listen loopstats
			lowpriotrap mask maxage maxclock maxdepth maxdist maxmem maxpoll mdnstries mem memlock minclock mindepth mindist
			minimum minjitter minpoll minsane mode mode7 monitor month mru mssntp nic noepeer nolink nomodify nomrulist none
			nonvolatile nopeer noquery noselect noserve notrap notrust ntp ntpport orphan orphanwait panic
			peer_clear_digest_early peerstats pid poll pollskewlist port preempt prefer proc_delay prop_delay protostats
			rawstats requestkey reset restrict revoke rlimit server_offset serverresponse simulate simulation_duration
			source stacksize statistics stats step stepback stepfwd stepout stratum sys sysstats tick time1 time2 timer
			timingstats tinker tos true trustedkey ttl type unpeer_crypto_early unpeer_crypto_nak_early unpeer_digest_early
			version wander week wildcard xleave xmtnonce year`,
		followString: `abbrev basedate broadcast digest driftfile file fudge host ident includefile keys keysdir leapfile
			logfile manycastclient ntpsigndsocket peer pidfile pool pw randfile refid saveconfigdir server setvar statsdir
			trap unconfig unpeer`,
		followStrings: `logconfig manycastserver multicastclient phone`,
	} {
		for word := range strings.FieldsSeq(list) {
			words[word] = f
		}
	}
	return words
}

// tokenNames are ntpd's names of keywords, where they are not T_ and the word
// with a capital.
var tokenNames = map[string]string{
	"...": "T_Ellipsis", "-4": "T_Ipv4_flag", "-6": "T_Ipv6_flag", "controlkey": "T_ControlKey",
	"ntpsigndsocket": "T_NtpSignDsocket", "pollskewlist": "T_PollSkewList",
	"peer_clear_digest_early": "T_PCEdigest", "unpeer_crypto_early": "T_UEcrypto",
	"unpeer_crypto_nak_early": "T_UEcryptonak", "unpeer_digest_early": "T_UEdigest",
	"beep_delay": "T_Beep_Delay", "simulation_duration": "T_Sim_Duration", "server_offset": "T_Server_Offset",
	"freq_offset": "T_Freq_Offset", "prop_delay": "T_Prop_Delay", "proc_delay": "T_Proc_Delay",
}

// tokenName returns ntpd's name of a keyword in its messages.
func tokenName(word string) string {
	if name, ok := tokenNames[word]; ok {
		return name
	}
	return "T_" + strings.ToUpper(word[:1]) + word[1:]
}
