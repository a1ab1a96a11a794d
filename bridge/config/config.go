package config

import (
	"net/netip"
	"time"

	"ntsbridge/bridge/access"
	"ntsbridge/bridge/ntp"
)

// Config is a whole configuration file. Default returns one with every
// default; a file changes what it names. Each option's comment gives default,
// unit and range; the tags range and oneof enforce them.
type Config struct {
	// StateDir holds what must survive a restart: generated keys and
	// certificates, the cookie secret, the Autokey seed. Default: empty, which
	// is /var/lib/ntsbridge as root and $XDG_STATE_HOME/ntsbridge else.
	StateDir string `mapstructure:"state_dir" path:"dir"`
	// RunDir holds what dies with the process: the control socket. Default:
	// empty, which is $RUNTIME_DIRECTORY (systemd), /run/ntsbridge as root, or
	// $XDG_RUNTIME_DIR/ntsbridge.
	RunDir string `mapstructure:"run_dir" path:"dir"`
	// User is who the daemon becomes, started as root, once it has opened what
	// needs root. Default: empty, which is ntsbridge if there is such a user.
	User string `mapstructure:"user"`
	// Sandbox restricts the daemon to the files that this file names
	// (Landlock) and to the system calls of a time server (seccomp): off, log
	// (the kernel logs other system calls and lets them pass) or enforce.
	// Default: enforce, where the kernel has it.
	Sandbox string `mapstructure:"sandbox" oneof:"off log enforce"`

	// ReadableSecrets uses private keys and key files that everybody can read;
	// else they are refused. Default: false.
	ReadableSecrets bool `mapstructure:"readable_secrets"`

	Log       Log       `mapstructure:"log"`
	Server    Server    `mapstructure:"server"`
	Clock     Clock     `mapstructure:"clock"`
	Access    Access    `mapstructure:"access"`
	RateLimit RateLimit `mapstructure:"rate_limit"`
	Keys      Keys      `mapstructure:"keys"`
	Autokey   Autokey   `mapstructure:"autokey"`
	NTS       NTS       `mapstructure:"nts"`
	Sources   []Source  `mapstructure:"sources"`
	// ReferenceClocks are the clocks at this machine. Default: none.
	ReferenceClocks []ReferenceClock `mapstructure:"reference_clocks"`
	Passive         Passive          `mapstructure:"passive"`
	// Broadcast are the broadcast and multicast associations that this host
	// sends on. Default: none.
	Broadcast  []Broadcast `mapstructure:"broadcast"`
	Statistics Statistics  `mapstructure:"statistics"`
	Control    Control     `mapstructure:"control"`
	API        API         `mapstructure:"api"`
	Page       Page        `mapstructure:"page"`
	Chronyc    Chronyc     `mapstructure:"chronyc"`
	Metrics    Metrics     `mapstructure:"metrics"`
	Fleet      Fleet       `mapstructure:"fleet"`

	origins origins // of the options that were set
}

// Statistics are files with a line for each measurement, as chronyd and ntpd
// write them.
type Statistics struct {
	// Dir is where they are written (chrony's logdir, ntpd's statsdir). Default:
	// empty, nowhere.
	Dir string `mapstructure:"dir" path:"dir"`
	// Files are which are written: chronyd's measurements, statistics, tracking
	// and refclocks (with .log), ntpd's loopstats, peerstats, rawstats,
	// clockstats, sysstats, protostats and cryptostats. Default: empty, none.
	Files []string `mapstructure:"files" oneof:"measurements statistics tracking refclocks loopstats peerstats rawstats clockstats sysstats protostats cryptostats"`
	// Rotate is when a file with another date in its name is begun, in UTC, as
	// by the types of ntpd's filegen (pid: at each start; age: each day after
	// it). Default: none. A file that somebody
	// moves away is begun anew in any case.
	Rotate string `mapstructure:"rotate" oneof:"none pid day week month year age"`
	// Link gives the file of the day the plain name too. Default: true.
	Link bool `mapstructure:"link"`
	// Banner is after how many lines chronyd's headings are repeated (chrony's
	// logbanner). Default: 32. Range: 0, never, to 1000000.
	Banner int `mapstructure:"banner" range:"0..1000000" unit:"lines"`
}

// Log is what the daemon writes to standard error.
type Log struct {
	// Level is the least level that is written. Default: info.
	Level string `mapstructure:"level" oneof:"trace debug info warn error"`
	// JSON writes one JSON object per line. Default: false.
	JSON bool `mapstructure:"json"`
}

// Server is the UDP side.
type Server struct {
	// Listen are the addresses with ports. A network interface stands for its
	// addresses, eth0:123 for all and eth0/ipv4:123 or eth0/ipv6:123 for a
	// family's, a network for those in it, 192.0.2.0/24:123; they are followed as
	// they come and go. Default: empty, which is [::]:123 and 0.0.0.0:123, with
	// port 11123 if the process may not open low ports.
	Listen []Listen `mapstructure:"listen"`
	// Workers is the number of sockets and threads per listen address
	// (SO_REUSEPORT). Default: 0, one per processor. Range: 0 to 256.
	Workers int `mapstructure:"workers" range:"0..256" unit:"threads"`
	// Batch is how many packets one system call receives or sends. Default:
	// 32. Range: 1 to 1024.
	Batch int `mapstructure:"batch" range:"1..1024" unit:"packets"`
	// FreeBind listens on addresses of listen and of nts.listen that no
	// interface has yet (IP_FREEBIND): they are served once they are there.
	// Default: true.
	FreeBind bool `mapstructure:"free_bind"`
	// DSCP marks sent packets (RFC 2474). Default: 46, expedited forwarding.
	// Range: 0 to 63.
	DSCP int `mapstructure:"dscp" range:"0..63" unit:"code point"`
	// Timestamping is where receive timestamps come from. Default: kernel.
	Timestamping string `mapstructure:"timestamping" oneof:"none kernel"`
	// HardwareTimestamps are the network interfaces whose own timestamps are
	// used of requests, and of answers in interleaved mode, where they can take
	// them; * is all that can (chrony's hwtimestamp). Default: empty, none.
	HardwareTimestamps []string `mapstructure:"hardware_timestamps"`
	// Fastpath answers plain requests, and those with some kinds of symmetric
	// keys, in the kernel, before the sockets: auto
	// where that is possible, require refuses to start where it is not.
	// Default: off.
	Fastpath string `mapstructure:"fastpath" oneof:"off auto require"`
	// FastpathInterfaces are the network interfaces of it: eth0, which is
	// eth0/tcx, eth0/xdp for a program in the driver, or eth0/xdp+nts, by which
	// requests with NTS come past the network stack. Default: empty, which is
	// all that have an address that is served, with tcx.
	FastpathInterfaces []string    `mapstructure:"fastpath_interfaces"`
	Interleaved        Interleaved `mapstructure:"interleaved"`
	MSSNTP             MSSNTP      `mapstructure:"ms_sntp"`
}

// MSSNTP is how answers to the members of an Active Directory domain are signed,
// for access rules that say ms_sntp: by Samba's domain controller on this host.
type MSSNTP struct {
	// Socket is Samba's (ntp_signd/socket; ntpd's and chronyd's ntpsigndsocket
	// name its directory). Default: /var/lib/samba/ntp_signd/socket.
	Socket string `mapstructure:"socket" path:"file"`
	// Timeout is how long an answer may wait for its signature; then there is
	// none. Default: 1s. Range: 10ms to 30s.
	Timeout time.Duration `mapstructure:"timeout" range:"10ms..30s" unit:"time"`
	// Rate is how many answers a second Samba is asked to sign, for all clients
	// together. Default: 200. Range: 1 to 100000.
	Rate int `mapstructure:"rate" range:"1..100000" unit:"answers/s"`
}

// Interleaved is the server's side of interleaved mode
// (draft-ietf-ntp-interleaved-modes).
type Interleaved struct {
	// Enabled answers requests in interleaved mode. Default: true.
	Enabled bool `mapstructure:"enabled"`
	// Entries is how many clients' transmit timestamps are kept over all
	// workers, 24 octets each. Default: 65536. Range: 64 to 16777216.
	Entries int `mapstructure:"entries" range:"64..16777216" unit:"clients"`
}

// Access says who is served and how a request must be authenticated.
type Access struct {
	// Default is the rule for addresses that no other rule names. Its
	// prefixes and source_port_123 must stay unset.
	Default AccessRule `mapstructure:"default"`
	// Rules are chosen by the longest matching prefix, not by their order; the
	// chosen one decides alone, nothing is inherited. Default: none.
	Rules []AccessRule `mapstructure:"rules"`
}

// AccessRule is what holds for a set of prefixes. What a rule leaves out has
// the default given here, not the value of access.default.
type AccessRule struct {
	// Name is for messages. Default: empty.
	Name string `mapstructure:"name"`
	// Prefixes are addresses or networks; host bits must be zero. Required, but
	// in access.default.
	Prefixes []netip.Prefix `mapstructure:"prefixes" required:"true"`
	// SourcePort123 restricts the rule to requests from source port 123
	// (ntpd's ntpport); it goes before a rule of the same prefix without.
	// Default: false.
	SourcePort123 bool `mapstructure:"source_port_123"`
	// Action is allow or deny. Default: allow.
	Action string `mapstructure:"action" oneof:"allow deny"`
	// Kiss is the kiss code that a refused client gets: none, deny (DENY) or
	// restrict (RSTR). Default: none, which is silence.
	Kiss string `mapstructure:"kiss" oneof:"none deny restrict"`
	// Kinds are the kinds of authentication that are answered. Default: all
	// four: none, symmetric, autokey, nts.
	Kinds []ntp.Kind `mapstructure:"kinds"`
	// Keys are the symmetric key identifiers that are answered. Default:
	// empty, every trusted key. Range: 1 to 4294967295.
	Keys []access.KeyRange `mapstructure:"keys"`
	// MinVersion is the lowest NTP version that is answered; 4 is ntpd's flag
	// version. Default: 1. Range: 1 to 4.
	MinVersion int `mapstructure:"min_version" range:"1..4" unit:"version"`
	// Rate names a limit of rate_limit.limits. Default: none, not limited.
	Rate string `mapstructure:"rate"`
	// Query allows mode 6 queries (ntpq). Default: false.
	Query bool `mapstructure:"query"`
	// MSSNTP has Samba sign the answers to members of an Active Directory domain
	// that ask for it (ntpd's mssntp), see server.ms_sntp. Such requests count as
	// kind none: anybody can send them. Default: false.
	MSSNTP bool `mapstructure:"ms_sntp"`
}

// RateLimit is the table of clients under a limit, and the limits.
type RateLimit struct {
	// Clients is how many addresses the table holds, 40 octets each; it never
	// grows. Default: 65536. Range: 64 to 16777216.
	Clients int `mapstructure:"clients" range:"64..16777216" unit:"addresses"`
	// IPv4Prefix and IPv6Prefix are how many bits of an address count as one
	// client. Defaults: 32 and 64. Ranges: 8 to 32 and 32 to 128.
	IPv4Prefix int `mapstructure:"ipv4_prefix" range:"8..32" unit:"bits"`
	IPv6Prefix int `mapstructure:"ipv6_prefix" range:"32..128" unit:"bits"`
	// Limits are the limits that access rules name. Default: one named
	// default, with the defaults of Limit.
	Limits []Limit `mapstructure:"limits"`
}

// Limit is one rate limit: ntpd's discard average and minimum, chrony's
// ratelimit interval, burst and leak.
type Limit struct {
	// Name is what access rules call it; none is not allowed. Required.
	Name string `mapstructure:"name" required:"true"`
	// Interval is the mean time between two requests of one client. Default:
	// 8s. Range: 1us to 24h.
	Interval time.Duration `mapstructure:"interval" range:"1us..24h" unit:"time"`
	// Burst is how many requests may come at once. Default: 8. Range: 1 to 255.
	Burst int `mapstructure:"burst" range:"1..255" unit:"requests"`
	// Minimum is the least time between two requests. Default: 0s, none.
	// Range: 0s to 1h.
	Minimum time.Duration `mapstructure:"minimum" range:"0s..1h" unit:"time"`
	// Leak is the fraction of requests over the limit that is answered all the
	// same, so that forged requests cannot lock a client out. Default: 0.25.
	// Range: 0 to 1.
	Leak float64 `mapstructure:"leak" range:"0..1" unit:"fraction"`
	// Kiss sends the kiss code RATE, at most one per client in each interval
	// and second. Default: true.
	Kiss bool `mapstructure:"kiss"`
}

// Keys is the symmetric key table.
type Keys struct {
	// Files are read in order; a key identifier may be in one of them only.
	// Default: none.
	Files []KeyFile `mapstructure:"files"`
	// Trusted are the key identifiers that may be used, as ntpd's trustedkey;
	// the word all stands for every key of the files. Default: empty, none.
	// Range: 1 to 4294967295.
	Trusted []access.KeyRange `mapstructure:"trusted"`
	// Control is the identifier of the key with which ntpq may ask for the
	// addresses listened on and the access rules (ifstats and reslist; ntpd's
	// controlkey). Nothing can be changed with it. Default: 0, nobody may ask.
	// Range: 0 to 4294967295.
	Control int `mapstructure:"control" range:"0..4294967295" unit:"key identifier"`
	// Generate makes a file ntp.keys with one AES128CMAC key in the state directory on
	// first start, and trusts it, if files is empty. Default: true.
	Generate bool `mapstructure:"generate"`
}

// KeyFile is one file of symmetric keys.
type KeyFile struct {
	// Path is the name of the file. Required.
	Path string `mapstructure:"path" path:"file" required:"true"`
	// Format is auto, ntp (ntp.keys of ntpd), ntpsec (of ntpsec) or chrony
	// (chrony.keys). Default: auto.
	Format string `mapstructure:"format" oneof:"auto ntp ntpsec chrony"`
	// StrictAddresses also refuses clients outside a key's list of addresses.
	// In the manual of ntp.keys the list names who may serve time under the
	// key, and ntpd 4.2.8 signs for every client. Default: false.
	StrictAddresses bool `mapstructure:"strict_addresses"`
}

// Autokey is the server side of RFC 5906 for clients of ntpd. It is broken
// (32-bit cookies, MD5) and here only for the time of a migration.
type Autokey struct {
	// Enabled answers Autokey. Default: false.
	Enabled bool `mapstructure:"enabled"`
	// KeysDir is where the ntpkey_* files of ntp-keygen are. Required when
	// enabled. Default: empty.
	KeysDir string `mapstructure:"keysdir" path:"dir"`
	// Host is the name in the file names (crypto host). Default: empty, the
	// name of this machine.
	Host string `mapstructure:"host"`
	// Ident is the group (crypto ident). Default: empty, no group.
	Ident string `mapstructure:"ident"`
	// PasswordFile holds the password of encrypted key files (crypto pw) in
	// its first line. Default: empty, the name of this machine as ntpd does.
	PasswordFile string `mapstructure:"password_file" path:"file"`
	// Digest is the digest of session keys and MACs (crypto digest), by
	// OpenSSL's short name; clients must have the same. Default: MD5.
	Digest string `mapstructure:"digest" oneof:"MD5 MD4 SHA1 RIPEMD160 SHA224 SHA256 SHA384 SHA512 SHA512-224 SHA512-256 SHA3-224 SHA3-256 SHA3-384 SHA3-512 BLAKE2s256 BLAKE2b512"`
	// SeedFile keeps the server seed over restarts. Default: empty, the file
	// autokey.seed in the state directory.
	SeedFile string `mapstructure:"seed_file" path:"file"`
	// Seed is what new cookies are made from: own, or zero-compatible, which is
	// ntpd's 0, for a trial after which an ntpd may serve here again. Cookies of
	// the own seed are accepted in both. Default: own.
	Seed string `mapstructure:"seed" oneof:"own zero-compatible"`
	// LeapFile is the leap second list that clients may fetch. Default: empty,
	// none.
	LeapFile string        `mapstructure:"leap_file" path:"file"`
	Takeover Takeover      `mapstructure:"takeover"`
	Budget   AutokeyBudget `mapstructure:"budget"`
}

// Takeover also accepts the cookies that a real ntpd gave out (its seed is 0),
// so that its clients go on without being restarted.
type Takeover struct {
	// Enabled accepts them. Anybody can compute such a cookie. Default: false.
	Enabled bool `mapstructure:"enabled"`
	// Until is the date from which on they are refused, 2006-01-02 (midnight
	// UTC) or RFC 3339. Required when enabled. Default: empty.
	Until time.Time `mapstructure:"until"`
}

// AutokeyBudget bounds the processor time of public-key operations, so that
// a flood of them cannot starve the other kinds.
type AutokeyBudget struct {
	// CPU is for all clients together, as a part of one core. Default: 0.25.
	// Range: 0.001 to 64.
	CPU float64 `mapstructure:"cpu" range:"0.001..64" unit:"cores"`
	// Burst is the processor time that can be saved up. Default: 1s. Range:
	// 10ms to 60s.
	Burst time.Duration `mapstructure:"burst" range:"10ms..60s" unit:"time"`
	// ClientCPU is for one client. Default: 0.02. Range: 0.0001 to 64.
	ClientCPU float64 `mapstructure:"client_cpu" range:"0.0001..64" unit:"cores"`
	// ClientBurst is what one client can save up. Default: 200ms. Range: 1ms
	// to 60s.
	ClientBurst time.Duration `mapstructure:"client_burst" range:"1ms..60s" unit:"time"`
	// Clients is how many clients are remembered; a power of two. Default:
	// 4096. Range: 64 to 1048576.
	Clients int `mapstructure:"clients" range:"64..1048576" unit:"clients"`
	// Excess is by how many octets a second all answers together may be longer
	// than their requests; half is kept for answers that are little longer.
	// Default: 65536. Range: 1024 to 1000000000.
	Excess int `mapstructure:"excess" range:"1024..1000000000" unit:"octets/s"`
}

// NTS is RFC 8915: NTS-KE on TCP and the cookies.
type NTS struct {
	// Enabled answers NTS and runs the NTS-KE server. Default: true.
	Enabled bool `mapstructure:"enabled"`
	// Listen are the TCP addresses of NTS-KE. Default: empty, which is
	// [::]:4460 and 0.0.0.0:4460, with port 14460 if the process may not open
	// low ports.
	Listen []netip.AddrPort `mapstructure:"listen"`
	// Certificates are chosen by the name that the client asks for; the first
	// one goes to clients that ask for none or another. Default: none.
	Certificates []Certificate `mapstructure:"certificates"`
	// ACME gets a certificate from an authority. Default: its directory is
	// empty, and there is no ACME.
	ACME ACME `mapstructure:"acme"`
	// Generate makes a certificate, and an authority for it, in the state
	// directory on first start if certificates is empty and there is no acme.
	// Default: true.
	Generate bool `mapstructure:"generate"`
	// Names are the names and addresses that clients use to reach this
	// server: check compares them with the certificates, and a generated
	// certificate carries them. Default: empty, the name of this machine.
	Names []string `mapstructure:"names"`
	// AEADs are the algorithms in the order of the server's preference, by
	// IANA name. Default: AES-128-GCM-SIV, AES-SIV-CMAC-256,
	// AES-SIV-CMAC-384, AES-SIV-CMAC-512 (identifiers 30, 15, 16, 17).
	AEADs []AEAD `mapstructure:"aeads"`
	// Server is the NTP server that clients are sent to (record 6): a name or
	// an address. Default: empty, the address that they asked.
	Server string `mapstructure:"server"`
	// Port is the NTP port that clients are sent to (record 7). Default: 0,
	// the port of server.listen. Range: 0 to 65535.
	Port    int      `mapstructure:"port" range:"0..65535" unit:"UDP port"`
	Cookies Cookies  `mapstructure:"cookies"`
	Limits  KELimits `mapstructure:"limits"`
}

// Certificate is a certificate chain and its key, both PEM.
type Certificate struct {
	// Cert is the certificate, followed by the intermediate ones. Required.
	Cert string `mapstructure:"cert" path:"file" required:"true"`
	// Key is the private key, not encrypted. Required.
	Key string `mapstructure:"key" path:"file" required:"true"`
}

// Cookies is how NTS cookies are sealed.
type Cookies struct {
	// SecretFile is the site secret that the cookie keys are derived from;
	// servers with the same one accept each other's cookies. It is made on
	// first start if it is not there, and rewritten as time goes on, so that
	// cookies of the past cannot be opened with it. Default: empty, the file
	// cookies.secret in the state directory.
	SecretFile string `mapstructure:"secret_file" path:"file"`
	// PreviousSecretFile is the secret that SecretFile took the place of, if it
	// is there: its cookies are opened as long as Kept says, and it seals them
	// until the time that SecretFile names. `ntsbridge secret rotate` writes both.
	// Default: empty, the file cookies.previous in the state directory.
	PreviousSecretFile string `mapstructure:"previous_secret_file" path:"file"`
	// Rotation is how long a cookie key is used for new cookies. Default: 24h.
	// Range: 1m to 8760h.
	Rotation time.Duration `mapstructure:"rotation" range:"1m..8760h" unit:"time"`
	// Kept is how many former keys still open cookies. Default: 7. Range: 0
	// to 1024, and ten years in all.
	Kept int `mapstructure:"kept" range:"0..1024" unit:"keys"`
}

// KELimits bounds what strangers can cost the NTS-KE server. A client is what
// rate_limit.ipv4_prefix and ipv6_prefix make one.
type KELimits struct {
	// Connections is how many may be open at once. Default: 512. Range: 1 to 65536.
	Connections int `mapstructure:"connections" range:"1..65536" unit:"connections"`
	// PerPrefix is how many of them one client may hold. Default: 32. Range: 1
	// to 65536.
	PerPrefix int `mapstructure:"per_prefix" range:"1..65536" unit:"connections"`
	// Interval is the mean time between two connections of one client.
	// Default: 100ms. Range: 0s (not limited) to 24h.
	Interval time.Duration `mapstructure:"interval" range:"0s..24h" unit:"time"`
	// Burst is how many may come at once. Default: 100. Range: 1 to 255.
	Burst int `mapstructure:"burst" range:"1..255" unit:"connections"`
	// Clients is how many clients are remembered, at least Connections.
	// Default: 16384. Range: 64 to 16777216.
	Clients int `mapstructure:"clients" range:"64..16777216" unit:"clients"`
	// Timeout is for the whole exchange. Default: 5s. Range: 100ms to 5m.
	Timeout time.Duration `mapstructure:"timeout" range:"100ms..5m" unit:"time"`
}

// Chronyc is where chrony's client, and what speaks its protocol, may ask.
type Chronyc struct {
	// Socket is a Unix socket of datagrams, whose users may also change things
	// (chrony's bindcmdaddress). Default: empty, the file chronyd.sock in the
	// run directory, where no chronyd has its own; the word none is no socket.
	Socket string `mapstructure:"socket" path:"file" word:"none"`
	// Listen are UDP addresses (chrony's cmdport), where tracking, sources,
	// sourcestats, activity, rtcdata, smoothing and sourcename may be asked and
	// nothing else; chronyc looks at port 323 of 127.0.0.1 and ::1. Default:
	// empty, none.
	Listen []netip.AddrPort `mapstructure:"listen"`
	// Allow are the networks that may ask there (chrony's cmdallow). Default:
	// 127.0.0.0/8 and ::1/128.
	Allow []netip.Prefix `mapstructure:"allow"`
}

// Metrics are what Prometheus reads.
type Metrics struct {
	// Listen are TCP addresses where GET /metrics is answered to anybody who
	// reaches them. Default: empty, none: they are on the control socket only.
	Listen []netip.AddrPort `mapstructure:"listen"`
	// Addresses puts the addresses of sources into a label. Default: false.
	Addresses bool `mapstructure:"addresses"`
}

// ChronycOff is the value of chronyc.socket, and of control.read_socket, that
// stands for none.
const ChronycOff = "none"

// Control is the local socket that the other commands use.
type Control struct {
	// Socket is a Unix socket. Default: empty, the file control.sock in the
	// run directory.
	Socket string `mapstructure:"socket" path:"file"`
	// ReadSocket is a Unix socket where everybody on this host may read what
	// status, tracking, sources, sourcestats, selectdata, authdata, serverstats
	// and nts show, and the metrics; nothing about clients, and nothing can be
	// told. Default: empty, the file read.sock in the run directory; the word
	// none is no socket.
	ReadSocket string `mapstructure:"read_socket" path:"file" word:"none"`
}
