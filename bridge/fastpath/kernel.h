/*
 * kernel.h: what the program needs of the kernel's interface, and no more, so
 * that the object depends on the compiler alone. Names and layouts are those of
 * the kernel's linux/bpf.h, if_ether.h, ip.h, ipv6.h and udp.h.
 */

typedef unsigned char __u8;
typedef unsigned short __u16;
typedef unsigned int __u32;
typedef signed int __s32;
typedef unsigned long long __u64;
typedef signed long long __s64;

#define SEC(name) __attribute__((section(name), used))
#define inline __attribute__((always_inline)) inline

/* Names of the kernel's, which older ones do not have. */
#define KERNEL extern __attribute__((section(".ksyms"), weak))
#define KERNEL_OBJECT __attribute__((btf_type_tag("kptr")))

/* Definitions of maps in BTF. */
#define __uint(name, value) int(*name)[value]
#define __type(name, value) typeof(value) *name

enum {
	BPF_MAP_TYPE_HASH = 1,
	BPF_MAP_TYPE_ARRAY = 2,
	BPF_MAP_TYPE_PERCPU_ARRAY = 6,
	BPF_MAP_TYPE_LRU_HASH = 9,
	BPF_MAP_TYPE_LPM_TRIE = 11,
	BPF_MAP_TYPE_XSKMAP = 17,

	BPF_F_NO_PREALLOC = 1 << 0,
	BPF_F_MMAPABLE = 1 << 10,

	BPF_NOEXIST = 1,
	BPF_F_RECOMPUTE_CSUM = 1,
};

static void *(*bpf_map_lookup_elem)(void *map, const void *key) = (void *)1;
static long (*bpf_map_update_elem)(void *map, const void *key, const void *value, __u64 flags) = (void *)2;
static __u64 (*bpf_ktime_get_ns)(void) = (void *)5;
static long (*bpf_skb_store_bytes)(void *skb, __u32 offset, const void *from, __u32 len, __u64 flags) = (void *)9;
static long (*bpf_redirect)(__u32 ifindex, __u64 flags) = (void *)23;
static long (*bpf_skb_pull_data)(void *skb, __u32 len) = (void *)39;
static long (*bpf_redirect_map)(void *map, __u64 key, __u64 flags) = (void *)51;
static long (*bpf_xdp_adjust_meta)(void *xdp, int delta) = (void *)54;
static void *(*bpf_kptr_xchg)(void *to, void *object) = (void *)194;
static long (*bpf_dynptr_from_mem)(void *data, __u32 size, __u64 flags, void *to) = (void *)197;
static __u64 (*bpf_ktime_get_tai_ns)(void) = (void *)208;

struct bpf_dynptr {
	__u64 opaque[2];
};

/* A key of the kernel's ciphers; Linux 6.10. */
struct bpf_crypto_ctx {
	int unused;
};

struct bpf_crypto_params {
	char type[14];
	__u8 unused[2];
	char algorithm[128];
	__u8 key[256];
	__u32 key_len;
	__u32 auth_size;
};

KERNEL struct bpf_crypto_ctx *bpf_crypto_ctx_create(const struct bpf_crypto_params *params, __u32 size, int *err);
KERNEL void bpf_crypto_ctx_release(struct bpf_crypto_ctx *context);
KERNEL int bpf_crypto_encrypt(struct bpf_crypto_ctx *context, const struct bpf_dynptr *from, const struct bpf_dynptr *to,
			      const struct bpf_dynptr *iv);

/* What a tcx program may see of a packet. */
struct __sk_buff {
	__u32 len;
	__u32 pkt_type;
	__u32 mark;
	__u32 queue_mapping;
	__u32 protocol;
	__u32 vlan_present;
	__u32 vlan_tci;
	__u32 vlan_proto;
	__u32 priority;
	__u32 ingress_ifindex;
	__u32 ifindex;
	__u32 tc_index;
	__u32 cb[5];
	__u32 hash;
	__u32 tc_classid;
	__u32 data;
	__u32 data_end;
	__u32 napi_id;
	__u32 family;
	__u32 remote_ip4;
	__u32 local_ip4;
	__u32 remote_ip6[4];
	__u32 local_ip6[4];
	__u32 remote_port;
	__u32 local_port;
	__u32 data_meta;
	__u64 flow_keys;
	__u64 tstamp;
};

enum { TCX_NEXT = -1 };
enum { PACKET_HOST = 0 };

/* The same of XDP. */
struct xdp_md {
	__u32 data;
	__u32 data_end;
	__u32 data_meta;
	__u32 ingress_ifindex;
	__u32 rx_queue_index;
	__u32 egress_ifindex;
};

enum { XDP_PASS = 2, XDP_TX = 3 };

#define ETH_HLEN 14
#define ETH_P_IP 0x0800
#define ETH_P_IPV6 0x86dd
#define IPPROTO_UDP 17

struct ethhdr {
	__u16 dest[3];
	__u16 source[3];
	__u16 proto;
};

struct iphdr {
	__u8 version_ihl;
	__u8 tos;
	__u16 tot_len;
	__u16 id;
	__u16 frag_off;
	__u8 ttl;
	__u8 protocol;
	__u16 check;
	__u32 saddr;
	__u32 daddr;
};

struct ipv6hdr {
	__u32 version_class_flow;
	__u16 payload_len;
	__u8 nexthdr;
	__u8 hop_limit;
	__u32 saddr[4];
	__u32 daddr[4];
};

struct udphdr {
	__u16 source;
	__u16 dest;
	__u16 len;
	__u16 check;
};

static inline __u16 net16(__u16 v) { return __builtin_bswap16(v); }
static inline __u32 net32(__u32 v) { return __builtin_bswap32(v); }
static inline __u64 net64(__u64 v) { return __builtin_bswap64(v); }
