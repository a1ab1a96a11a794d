/*
 * maps.h: what the program shares with the server. Go has the same layouts in
 * layout.go; a test compares them by the object's BTF.
 */

/*
 * What answers say of the clock, good until expiry. seq is odd while the server
 * writes. Times are nanoseconds; mono is CLOCK_MONOTONIC.
 */
struct snapshot {
	__u64 seq;
	__u64 mono;         /* when it was made */
	__u64 expiry;       /* beyond it, requests are passed; 0: at once */
	__u64 offset;       /* system clock since 1970 minus monotonic */
	__u64 time;         /* system clock at mono as a timestamp of NTP, cut off */
	__u64 rest;         /* what was cut off and a half of its last bit, 2^-32 of that */
	__u64 tai;          /* CLOCK_TAI minus monotonic: changes when the clock is stepped */
	__s64 smear;        /* served minus system clock, at mono */
	__s64 smear_rate;   /* its growth, 2^-32 */
	__u32 header[6];    /* of an answer as sent, up to the reference timestamp; version, mode and poll 0 */
	__u64 limiter_mono; /* monotonic minus the time of rate limits */
};

/* How things stand. The server writes it through mapped memory. */
struct control {
	__u32 generation; /* of the rules in force; 0: everything is passed */
	__u32 slot;       /* of snapshots, in force */
	__u32 epoch;      /* of the clients' table; 0: no clients are noted */
	__u32 tos;        /* of answers */
	__u32 departure_shift; /* of a hash, to get the slot; 0: none are remembered */
	__u32 limiter_shift; /* of a hash, to get the set */
	__u32 limiter_mask;
	__u32 limiter_on;
	__u32 limiter_base; /* the first set */
	__u32 unused;
	__u64 limiter_key[2];
	__u64 limiter_mask4[2];
	__u64 limiter_mask6[2];
	struct snapshot snapshots[2];
};

/* A place of packets: IPv4 addresses are in the first four octets. */
struct own_key {
	__u32 ifindex; /* of link-local addresses, else 0 */
	__u16 port;    /* network order; 0: the address belongs to this host */
	__u16 family;  /* 4 or 6 */
	__u32 addr[4];
};

struct own {
	__u32 listener; /* index of counters */
};

#define NEAR 64
#define FILTER 4096

/* What is found without the table of addresses: one place of each hash. */
struct near {
	struct {
		struct own_key key; /* family 0: none */
		struct own own;
	} places[NEAR];
	__u64 filter[FILTER / 64]; /* no bit of its hash: not an address of this host */
};

#define KEYS 4096
#define KEYSETS 1024

/* What a rule answers with MACs: nothing, all keys, or a set, whose number is beyond. */
enum { KEYED_NONE, KEYED_ALL, KEYED_SET };

/* A prefix of sources. class is generation, family and whether from port 123. */
struct rule_key {
	__u32 prefixlen; /* with the 32 bits of class */
	__u32 class;
	__u32 addr[4];
};

struct rule {
	__u32 allowed;     /* answered without authentication */
	__u32 min_version;
	__u32 hits;        /* index of counters, from 1; 0: none */
	__u32 limited;     /* the three below count */
	__u32 keyed;       /* answered with MACs, see KEYED_SET */
	__u32 unused;
	__u64 interval;
	__u64 span;        /* interval times (burst - 1) */
	__u64 minimum;
};

enum { KEY_MD5 = 1, KEY_SHA1, KEY_AES128 };

/* A key made ready: symkey.Image. All 0: none. */
struct key {
	__u32 id;
	__u32 algorithm;
	__u32 at;        /* octet of the block where the header comes */
	__u32 blocks;    /* 1 or 2 */
	__u32 state[5];
	__u32 unused[3];
	__u32 block[32]; /* of AES: the subkey */
};

/* By a key's slot. */
struct keyset {
	__u64 has[KEYS / 64];
};

struct cipher {
	struct bpf_crypto_ctx KERNEL_OBJECT *context;
};

/* What user space asks the cipher's program: a context for a slot; none without a key. */
struct cipher_order {
	struct bpf_crypto_params params; /* first, where the verifier allows it */
	__u32 slot;
	__s32 error;
};

/* An interface that a program is at. */
struct interface {
	__u32 index; /* 0: none */
	__u16 mac[3];
	__u16 partial; /* senders on this host may leave checksums to be done */
	__u32 sockets; /* where in the map of sockets its queues begin, XDP only */
	__u32 queues;  /* how many have a place there */
};

/* A departure of interleaved mode, as bridge/server's timestampStore has it. */
struct departure {
	__u64 receive;
	__u64 transmit;
};

/* Eight clients of the rate limiter, as bridge/access has them. */
struct limiter_set {
	__u32 lock;
	__u32 unused;
	__u64 random;
	__u64 gap[6];
	__u64 key[8];
	__s64 full[8];
	__s64 passed[8];
	__s64 kissed[8];
};

/* An address, in the form of IPv6, and the key that it has; 0: none. */
struct client_key {
	__u32 addr[4];
	__u32 key;
};

/* What a client sent in an epoch: how much, and the last of it. */
struct sighting {
	__u32 epoch;
	__u32 count;
	__u64 received;
	__u64 sent;
	__u32 header[12];
	__u16 port; /* host order */
	__u8 tos;
	__u8 tail; /* octets behind the header */
	__u8 unused[4];
};

struct client {
	struct sighting halves[2]; /* by the epoch's lowest bit */
};

enum cause {
	PASSED_STALE,       /* no clock to be told of */
	PASSED_STEPPED,     /* the clock was stepped since the snapshot */
	PASSED_REFUSED,     /* the rule does not let it be answered, or there is none */
	PASSED_LIMITED,     /* over its rate limit */
	PASSED_INTERLEAVED, /* interleaved mode */
	PASSED_BUSY,        /* somebody else is at the same place of a table */
	PASSED_SOURCE,      /* a source that no answer can go to */
	PASSED_KEY,         /* no key of the kernel's */
	PASSED_MAC,         /* not the key's MAC */
	CAUSES,
};

/* What one processor counted. */
struct counts {
	__u64 answered[8]; /* by version, without a key */
	__u64 keyed[8];    /* the same with one */
	__u64 passed[CAUSES];
	__u64 stamped;  /* answered with a receive timestamp of the kernel */
	__u64 noted[2]; /* clients noted for the first time in an epoch, since the start, by its lowest bit */
	__u64 unnoted;  /* requests whose client found no place */
};

#define LISTENERS 256
#define RULES 4096
#define ADDRESSES 65536
#define INTERFACES 4096
#define SOCKETS 256

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct control);
} standing SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, ADDRESSES);
	__type(key, struct own_key);
	__type(value, struct own);
} addresses SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 1 << 20);
	__type(key, struct rule_key);
	__type(value, struct rule);
} rules SEC(".maps");

/* By the lowest bits of the index. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, INTERFACES);
	__type(key, __u32);
	__type(value, struct interface);
} interfaces SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct near);
} nearby SEC(".maps");

/* The server says how large the next three are. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct departure);
} departures SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct limiter_set);
} limiter SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1);
	__type(key, struct client_key);
	__type(value, struct client);
} clients SEC(".maps");

/* A client that was not seen before. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct client);
} blank SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct counts);
} counters SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, LISTENERS);
	__type(key, __u32);
	__type(value, __u64);
} listeners SEC(".maps");

/* By generation's lowest bit and rule. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 2 * RULES);
	__type(key, __u32);
	__type(value, __u64);
} hits SEC(".maps");

/* By identifier: the slot of a key. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, KEYS);
	__type(key, __u32);
	__type(value, __u32);
} key_slots SEC(".maps");

/* The server writes and wipes them in mapped memory. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, KEYS);
	__type(key, __u32);
	__type(value, struct key);
} keys SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, KEYS);
	__type(key, __u32);
	__type(value, struct cipher);
} ciphers SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, KEYSETS);
	__type(key, __u32);
	__type(value, struct keyset);
} keysets SEC(".maps");

/* Of AF_XDP, for requests with NTS. */
struct {
	__uint(type, BPF_MAP_TYPE_XSKMAP);
	__uint(max_entries, SOCKETS);
	__type(key, __u32);
	__type(value, __u32);
} sockets SEC(".maps");
