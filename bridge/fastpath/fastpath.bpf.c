//go:build ignore

/*
 * fastpath.bpf.c answers plain requests for time where they arrive: NTPv1 to
 * v4 in mode 3, of 48 octets, over IPv4 and IPv6, at an address and port that
 * the server listens on. What it does not fully understand it passes, untouched
 * and uncounted. One source, two programs: at tcx's ingress and as native XDP.
 *
 * The order is that of bridge/server's handler: source and header, access rule,
 * rate limit, header from the clock, departure. Tables are the server's own
 * where it has one, in memory that both see.
 */
#include "kernel.h"
#include "maps.h"

/* No helper in use asks for a licence. */
char __license[] SEC("license") = "Proprietary";

/* For tests: the time is that of the snapshot. */
const volatile __u32 frozen = 0;

#define NTP_WORDS 12 /* 32-bit words of a header */
#define NTP_LEN 48
#define UDP_LEN (8 + NTP_LEN)
#define LEN4 (ETH_HLEN + 20 + UDP_LEN)
#define LEN6 (ETH_HLEN + 40 + UDP_LEN)
#define MODE_CLIENT 3
#define MODE_SERVER 4
#define NTP_UNIX 2208988800ULL /* 1970 in seconds of the NTP era */
#define SECOND 1000000000ULL
#define NEVER (-(1LL << 62))

/* Words of an NTP header. */
enum { W_REFERENCE = 4, W_ORIGIN = 6, W_RECEIVE = 8, W_TRANSMIT = 10 };

/* How a request's UDP checksum stands. */
enum { CHECK_WRONG, CHECK_RIGHT, CHECK_PARTIAL };

struct request {
	struct own_key to;
	__u32 from[4];
	__u16 from_port; /* network order */
	__u16 mac[6];    /* destination, source */
	__u8 tos;
	__u8 check;
	__u32 ntp[NTP_WORDS];
};

/* An answer from the IP header on. */
union answer {
	struct {
		struct iphdr ip;
		struct udphdr udp;
		__u32 ntp[NTP_WORDS];
	} v4;
	struct {
		struct ipv6hdr ip;
		struct udphdr udp;
		__u32 ntp[NTP_WORDS];
	} v6;
	__u32 words[24];
};

static inline __u32 fold(__u64 sum)
{
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

static inline __u64 add_words(__u64 sum, const __u32 *words, int n)
{
#pragma unroll
	for (int i = 0; i < n; i++)
		sum += words[i];
	return sum;
}

static inline __u64 pseudo4(const __u32 from, const __u32 to)
{
	return (__u64)from + to + net16(IPPROTO_UDP) + net16(UDP_LEN);
}

static inline __u64 pseudo6(const __u32 *from, const __u32 *to)
{
	return add_words(add_words(net16(IPPROTO_UDP) + net16(UDP_LEN), from, 4), to, 4);
}

/*
 * A sender on this host leaves the sum of the pseudo header where its network
 * interface would have put the checksum. One that could be either is neither.
 */
static inline int judge_check(__u16 check, __u64 pseudo, const __u32 *udp)
{
	__u32 sum = fold(add_words(pseudo, udp, UDP_LEN / 4));
	__u32 partial = fold(pseudo);

	if (sum == 0xffff)
		return check == partial ? CHECK_WRONG : CHECK_RIGHT;
	return check == partial ? CHECK_PARTIAL : CHECK_WRONG;
}

static inline int parse_udp(struct request *r, const struct udphdr *udp)
{
	const __u32 *ntp = (const void *)(udp + 1);

	if (udp->len != net16(UDP_LEN) || !udp->source || !udp->dest)
		return 0;
	r->from_port = udp->source;
	r->to.port = udp->dest;
#pragma unroll
	for (int i = 0; i < NTP_WORDS; i++)
		r->ntp[i] = ntp[i];
	__u8 first = r->ntp[0], version = first >> 3 & 7;
	return (first & 7) == MODE_CLIENT && version >= 1 && version <= 4;
}

static inline int parse4(struct request *r, void *data)
{
	const struct iphdr *ip = data + ETH_HLEN;
	const struct udphdr *udp = (const void *)(ip + 1);

	/* No options, no fragment. */
	if (ip->version_ihl != 0x45 || ip->protocol != IPPROTO_UDP || ip->tot_len != net16(20 + UDP_LEN) ||
	    (ip->frag_off & ~net16(0x4000)) != 0 || fold(add_words(0, data + ETH_HLEN, 5)) != 0xffff)
		return 0;
	if (!parse_udp(r, udp))
		return 0;
	r->check = udp->check ? judge_check(udp->check, pseudo4(ip->saddr, ip->daddr), (const void *)udp) : CHECK_RIGHT;
	r->from[0] = ip->saddr;
	r->to.addr[0] = ip->daddr;
	r->to.family = 4;
	r->tos = ip->tos;
	return 1;
}

static inline int parse6(struct request *r, void *data, __u32 ifindex)
{
	const struct ipv6hdr *ip = data + ETH_HLEN;
	const struct udphdr *udp = (const void *)(ip + 1);
	__u32 begin = net32(ip->version_class_flow);

	/* No extension headers. */
	if (begin >> 28 != 6 || ip->nexthdr != IPPROTO_UDP || ip->payload_len != net16(UDP_LEN))
		return 0;
	if (!parse_udp(r, udp))
		return 0;
	r->check = udp->check ? judge_check(udp->check, pseudo6(ip->saddr, ip->daddr), (const void *)udp) : CHECK_WRONG;
#pragma unroll
	for (int i = 0; i < 4; i++) {
		r->from[i] = ip->saddr[i];
		r->to.addr[i] = ip->daddr[i];
	}
	if ((r->to.addr[0] & net32(0xffc00000)) == net32(0xfe800000))
		r->to.ifindex = ifindex;
	r->to.family = 6;
	r->tos = begin >> 20;
	return 1;
}

/* What a frame of the right length asks for; 0: it is none of ours. */
static inline int parse(struct request *r, void *data, void *end, __u32 ifindex)
{
	struct ethhdr *eth = data;

	if (data + LEN4 > end)
		return 0;
#pragma unroll
	for (int i = 0; i < 3; i++) {
		r->mac[i] = eth->dest[i];
		r->mac[3 + i] = eth->source[i];
	}
	if (eth->source[0] & 1) /* a group */
		return 0;
	if (eth->proto == net16(ETH_P_IP))
		return end - data == LEN4 && parse4(r, data);
	if (eth->proto == net16(ETH_P_IPV6) && data + LEN6 <= end)
		return end - data == LEN6 && parse6(r, data, ifindex);
	return 0;
}

/* Sources that nobody can be at, or that the network stack would refuse. */
static inline int no_source(const struct request *r)
{
	struct own_key key = {.family = r->to.family};

	if (r->to.family == 4) {
		__u8 first = r->from[0];
		if (first == 0 || first == 127 || first >= 224)
			return 1;
	} else {
		__u8 first = r->from[0];
		if (first == 0xff)
			return 1;
		/* ::, ::1, IPv4 inside of IPv6 */
		if (!r->from[0] && !r->from[1] && (!r->from[2] || r->from[2] == net32(0xffff)))
			return 1;
		key.ifindex = (r->from[0] & net32(0xffc00000)) == net32(0xfe800000) ? r->to.ifindex : 0;
	}
#pragma unroll
	for (int i = 0; i < 4; i++)
		key.addr[i] = r->from[i];
	return bpf_map_lookup_elem(&addresses, &key) != 0; /* itself */
}

static inline void sip_round(__u64 *v)
{
#define ROTATE(x, n) ((x) << (n) | (x) >> (64 - (n)))
	v[0] += v[1];
	v[1] = ROTATE(v[1], 13) ^ v[0];
	v[0] = ROTATE(v[0], 32);
	v[2] += v[3];
	v[3] = ROTATE(v[3], 16) ^ v[2];
	v[0] += v[3];
	v[3] = ROTATE(v[3], 21) ^ v[0];
	v[2] += v[1];
	v[1] = ROTATE(v[1], 17) ^ v[2];
	v[2] = ROTATE(v[2], 32);
}

/* SipHash-2-4 of 16 octets, as bridge/access's sipHash. */
static inline __u64 sip_hash(__u64 k0, __u64 k1, __u64 m0, __u64 m1)
{
	__u64 m[3] = {m0, m1, 16ULL << 56};
	__u64 v[4] = {k0 ^ 0x736f6d6570736575, k1 ^ 0x646f72616e646f6d, k0 ^ 0x6c7967656e657261, k1 ^ 0x7465646279746573};

#pragma unroll
	for (int i = 0; i < 3; i++) {
		v[3] ^= m[i];
		sip_round(v);
		sip_round(v);
		v[0] ^= m[i];
	}
	v[2] ^= 0xff;
#pragma unroll
	for (int i = 0; i < 4; i++)
		sip_round(v);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}

/* The limiter's key of a source, as bridge/access's Limiter.key. */
static inline __u64 limiter_key(const struct control *c, const struct request *r)
{
	__u64 m0, m1, key;

	if (r->to.family == 4) {
		m0 = 0;
		m1 = (0xffff0000ULL | (__u64)r->from[0] << 32) & c->limiter_mask4[1];
	} else {
		m0 = (r->from[0] | (__u64)r->from[1] << 32) & c->limiter_mask6[0];
		m1 = (r->from[2] | (__u64)r->from[3] << 32) & c->limiter_mask6[1];
	}
	key = sip_hash(c->limiter_key[0], c->limiter_key[1], m0, m1);
	return key ? key : 1;
}

/* Takes a token from the bucket of a set; 0: it has none. */
static inline int take_token(struct limiter_set *s, __u64 key, __s64 now, const struct rule *rule)
{
	__u32 at = 0, found = 0;
	__u64 victim_key = s->key[0];
	__s64 victim_full = s->full[0];

#pragma unroll
	for (__u32 i = 0; i < 8; i++) {
		if (found)
			continue;
		if (s->key[i] == key) {
			at = i;
			found = 1;
		} else if (i && victim_key && (!s->key[i] || s->full[i] < victim_full)) {
			at = i;
			victim_key = s->key[i];
			victim_full = s->full[i];
		}
	}
	at &= 7;
	if (!found) {
		s->key[at] = key;
		s->full[at] = s->passed[at] = s->kissed[at] = NEVER;
	}
	__s64 full = s->full[at] > now ? s->full[at] : now;
	if (full - now > (__s64)rule->span || now - s->passed[at] < (__s64)rule->minimum)
		return 0;
	s->full[at] = full + rule->interval;
	s->passed[at] = now;
	return 1;
}

/* The first bucket that the request is judged by; a cause if it has to be passed. */
static inline int limited(const struct control *c, const struct request *r, const struct rule *rule, __s64 now)
{
	__u64 key = limiter_key(c, r);
	__u32 at = key >> (c->limiter_shift & 63) & c->limiter_mask;
	struct limiter_set *s;
	int ok;

	if (!c->limiter_on)
		return PASSED_LIMITED;
	s = bpf_map_lookup_elem(&limiter, &at);
	if (!s || __sync_val_compare_and_swap(&s->lock, 0, 1) != 0)
		return PASSED_BUSY;
	ok = take_token(s, key, now, rule);
	__sync_lock_test_and_set(&s->lock, 0);
	return ok ? -1 : PASSED_LIMITED;
}

static inline struct departure *departure_of(const struct control *c, __u64 receive)
{
	__u32 at = receive * 0x9e3779b97f4a7c15ULL >> (c->departure_shift & 63);

	return bpf_map_lookup_elem(&departures, &at);
}

static inline __u64 ntp_word(const __u32 *ntp, int at)
{
	return (__u64)net32(ntp[at]) << 32 | net32(ntp[at + 1]);
}

/* Whether a client asks for the departure of an earlier answer that is known. */
static inline int interleaved(const struct control *c, const struct request *r)
{
	__u64 origin = ntp_word(r->ntp, W_ORIGIN);
	struct departure *d;

	if (!c->departure_shift || !origin || ntp_word(r->ntp, W_RECEIVE) == ntp_word(r->ntp, W_TRANSMIT))
		return 0;
	d = departure_of(c, origin);
	return d && *(volatile __u64 *)&d->receive == origin;
}

/* A duration in the format of timestamps. */
static inline __u64 ntp_duration(__u64 ns)
{
	__u64 sec = ns / SECOND;

	return (sec << 32) + ((ns - sec * SECOND) << 32) / SECOND;
}

/* The timestamp that is served for a monotonic time. */
static inline __u64 served(const struct snapshot *s, __u64 mono)
{
	__s64 smear = s->smear + ((__s64)(mono - s->mono) * s->smear_rate >> 32);
	__u64 ns = mono + s->offset;
	__u64 sec = ns / SECOND;
	__u64 t = ((sec + NTP_UNIX) << 32) + (((ns - sec * SECOND) << 32) + SECOND / 2) / SECOND;

	if (smear > 0)
		t += ntp_duration(smear);
	if (smear < 0)
		t -= ntp_duration(-smear);
	return t;
}

static inline void put_time(__u32 *ntp, int at, __u64 t)
{
	ntp[at] = net32(t >> 32);
	ntp[at + 1] = net32(t);
}

/*
 * Reads the snapshot in force. There are two, of which the server writes the
 * one that is not; the sequence tells of a reader that was away for so long
 * that it was written meanwhile.
 */
static inline int read_snapshot(const struct control *c, struct snapshot *to)
{
	const struct snapshot *from = &c->snapshots[*(volatile const __u32 *)&c->slot & 1];
	__u64 seq = *(volatile const __u64 *)&from->seq;

	*to = *from;
	asm volatile("" ::: "memory");
	return !(seq & 1) && *(volatile const __u64 *)&from->seq == seq;
}

#define STEP_BACK 1000    /* ns by which two readings of clocks may disagree */
#define STEP_AHEAD 200000 /* and what may pass between them */

/* Everything about a request that is to be answered. */
struct work {
	struct request r;
	struct rule *rule;
	__u32 listener;
	__u32 stamped;
	__u64 receive;
	__u64 transmit;
	union answer a;
};

static inline int pass(struct counts *n, int cause)
{
	n->passed[cause]++;
	return 0;
}

static inline void note(const struct control *c, struct counts *n, const struct work *w)
{
	__u32 zero = 0, epoch = c->epoch;
	__u32 key[4] = {0, 0, net32(0xffff), w->r.from[0]};
	struct client *l;
	struct sighting *s;

	if (!epoch)
		return;
	if (w->r.to.family == 6) {
#pragma unroll
		for (int i = 0; i < 4; i++)
			key[i] = w->r.from[i];
	}
	l = bpf_map_lookup_elem(&clients, key);
	if (!l) {
		void *nobody = bpf_map_lookup_elem(&blank, &zero);
		if (nobody)
			bpf_map_update_elem(&clients, key, nobody, BPF_NOEXIST);
		l = bpf_map_lookup_elem(&clients, key);
	}
	if (!l) {
		n->unnoted++;
		return;
	}
	s = &l->halves[epoch & 1];
	if (s->epoch != epoch) {
		s->epoch = epoch;
		s->count = 0;
		n->noted[epoch & 1]++;
	}
	s->count++;
	s->received = w->receive;
	s->sent = w->transmit;
#pragma unroll
	for (int i = 0; i < NTP_WORDS; i++)
		s->header[i] = w->r.ntp[i];
	s->port = net16(w->r.from_port);
	s->tos = w->r.tos;
}

static inline void count(const struct control *c, struct counts *n, const struct work *w)
{
	__u32 at = w->listener & (LISTENERS - 1);
	__u64 *one = bpf_map_lookup_elem(&listeners, &at);

	if (one)
		(*one)++;
	n->answered[(__u8)w->r.ntp[0] >> 3 & 7]++;
	n->stamped += w->stamped;
	if (w->rule->hits) {
		at = (c->generation & 1) * RULES + w->rule->hits - 1;
		one = bpf_map_lookup_elem(&hits, &at);
		if (one)
			(*one)++;
	}
	note(c, n, w);
}

static inline void fill_ntp(__u32 *to, const struct snapshot *s, const struct work *w)
{
	const __u32 *q = w->r.ntp;

#pragma unroll
	for (int i = 0; i < 6; i++)
		to[i] = s->header[i];
	/* Version and poll are the client's. */
	to[0] |= (q[0] & 0x38) | MODE_SERVER | (q[0] & 0x00ff0000);
	to[W_ORIGIN] = q[W_TRANSMIT];
	to[W_ORIGIN + 1] = q[W_TRANSMIT + 1];
	put_time(to, W_RECEIVE, w->receive);
	put_time(to, W_TRANSMIT, w->transmit);
}

/* A partial checksum is that of the pseudo header, which is the answer's too. */
static inline void fill_udp(struct udphdr *udp, const struct request *r, __u64 pseudo, __u32 partial)
{
	udp->source = r->to.port;
	udp->dest = r->from_port;
	udp->len = net16(UDP_LEN);
	udp->check = 0;
	if (partial) {
		udp->check = fold(pseudo);
		return;
	}
	__u16 check = ~fold(add_words(pseudo, (const __u32 *)udp, UDP_LEN / 4));
	udp->check = check ? check : 0xffff;
}

static inline void fill(const struct control *c, const struct snapshot *s, struct work *w, __u32 partial)
{
	const struct request *r = &w->r;

	if (r->to.family == 4) {
		struct iphdr *ip = &w->a.v4.ip;
		ip->version_ihl = 0x45;
		ip->tos = c->tos;
		ip->tot_len = net16(20 + UDP_LEN);
		ip->id = 0;
		ip->frag_off = net16(0x4000);
		ip->ttl = 64;
		ip->protocol = IPPROTO_UDP;
		ip->check = 0;
		ip->saddr = r->to.addr[0];
		ip->daddr = r->from[0];
		ip->check = ~fold(add_words(0, w->a.words, 5));
		fill_ntp(w->a.v4.ntp, s, w);
		fill_udp(&w->a.v4.udp, r, pseudo4(ip->saddr, ip->daddr), partial);
		return;
	}
	struct ipv6hdr *ip = &w->a.v6.ip;
	ip->version_class_flow = net32(6u << 28 | (c->tos & 0xff) << 20);
	ip->payload_len = net16(UDP_LEN);
	ip->nexthdr = IPPROTO_UDP;
	ip->hop_limit = 64;
#pragma unroll
	for (int i = 0; i < 4; i++) {
		ip->saddr[i] = r->to.addr[i];
		ip->daddr[i] = r->from[i];
	}
	fill_ntp(w->a.v6.ntp, s, w);
	fill_udp(&w->a.v6.udp, r, pseudo6(ip->saddr, ip->daddr), partial);
}

static inline struct rule *rule_of(const struct control *c, const struct request *r, __u32 generation)
{
	struct rule_key key = {.prefixlen = r->to.family == 4 ? 64 : 160};

	key.class = generation << 8 | (__u32)r->to.family << 1 | (r->from_port == net16(123));
#pragma unroll
	for (int i = 0; i < 4; i++)
		key.addr[i] = r->from[i];
	return bpf_map_lookup_elem(&rules, &key);
}

/*
 * Makes the answer to the request in w; 0 if it is passed, and then nothing was
 * touched but the counter of the cause. stamp is the kernel's receive
 * timestamp, CLOCK_REALTIME; 0: none. full asks for a whole checksum.
 */
static inline int answer(struct work *w, __u32 ifindex, __u64 stamp, __u32 full)
{
	__u32 zero = 0, generation;
	struct snapshot s;
	struct control *c;
	struct counts *n;
	struct own *to;
	struct departure *d = 0;
	__u64 mono, receive, age;
	int cause;

	to = bpf_map_lookup_elem(&addresses, &w->r.to);
	c = bpf_map_lookup_elem(&standing, &zero);
	n = bpf_map_lookup_elem(&counters, &zero);
	if (!to || !c || !n)
		return 0;
	w->listener = to->listener;
	if (w->r.check == CHECK_WRONG)
		return 0;
	if (w->r.check == CHECK_PARTIAL) {
		struct interface *i = bpf_map_lookup_elem(&interfaces, &ifindex);
		if (!i || !i->partial)
			return 0;
	}
	if (no_source(&w->r))
		return pass(n, PASSED_SOURCE);
	generation = *(volatile __u32 *)&c->generation;
	if (!generation || !read_snapshot(c, &s))
		return pass(n, PASSED_STALE);
	mono = frozen ? s.mono : bpf_ktime_get_ns();
	if (mono >= s.expiry)
		return pass(n, PASSED_STALE);
	w->rule = rule_of(c, &w->r, generation);
	if (!w->rule || !w->rule->allowed || ((__u8)w->r.ntp[0] >> 3 & 7) < w->rule->min_version)
		return pass(n, PASSED_REFUSED);
	if (interleaved(c, &w->r))
		return pass(n, PASSED_INTERLEAVED);

	receive = mono;
	age = mono + s.offset - stamp;
	w->stamped = stamp != 0 && age < SECOND;
	if (w->stamped)
		receive -= age;
	receive = served(&s, receive);
	if (c->departure_shift) { /* timestamps name one answer */
#pragma unroll
		for (int i = 0; i < 4; i++) {
			d = departure_of(c, receive);
			if (!d || *(volatile __u64 *)&d->receive != receive)
				break;
			receive++;
			d = 0;
		}
		if (!d)
			return pass(n, PASSED_BUSY);
	}
	w->receive = receive;

	/* TAI minus monotonic changes with every step of the system clock. */
	__u64 now = frozen ? mono : bpf_ktime_get_tai_ns() - s.tai;
	if (now + STEP_BACK - mono > STEP_BACK + STEP_AHEAD)
		return pass(n, PASSED_STEPPED);
	if (w->rule->limited) {
		cause = limited(c, &w->r, w->rule, mono - s.limiter_mono);
		if (cause >= 0)
			return pass(n, cause);
	}
	w->transmit = served(&s, now);
	if (d) {
		__sync_lock_test_and_set(&d->receive, 0);
		*(volatile __u64 *)&d->transmit = w->transmit;
		__sync_lock_test_and_set(&d->receive, w->receive);
	}
	fill(c, &s, w, w->r.check == CHECK_PARTIAL && !full);
	count(c, n, w);
	return 1;
}

SEC("tcx/ingress")
int ntp_tcx(struct __sk_buff *skb)
{
	struct work w = {};
	__u16 mac[6];
	void *data, *end;
	__u32 len = skb->len;

	if (len != LEN4 && len != LEN6)
		return TCX_NEXT;
	if (skb->pkt_type != PACKET_HOST || skb->vlan_present)
		return TCX_NEXT;
	if (skb->protocol != net16(ETH_P_IP) && skb->protocol != net16(ETH_P_IPV6))
		return TCX_NEXT;
	if (bpf_skb_pull_data(skb, len)) /* in one piece, and ours to write */
		return TCX_NEXT;
	data = (void *)(unsigned long)skb->data;
	end = (void *)(unsigned long)skb->data_end;
	if (!parse(&w.r, data, end, skb->ifindex) || !answer(&w, skb->ifindex, skb->tstamp, 0))
		return TCX_NEXT;
#pragma unroll
	for (int i = 0; i < 3; i++) {
		mac[i] = w.r.mac[3 + i];
		mac[3 + i] = w.r.mac[i];
	}
	bpf_skb_store_bytes(skb, 0, mac, sizeof(mac), 0);
	if (w.r.to.family == 4)
		bpf_skb_store_bytes(skb, ETH_HLEN, w.a.words, sizeof(w.a.v4), BPF_F_RECOMPUTE_CSUM);
	else
		bpf_skb_store_bytes(skb, ETH_HLEN, w.a.words, sizeof(w.a.v6), BPF_F_RECOMPUTE_CSUM);
	return bpf_redirect(skb->ifindex, 0);
}

SEC("xdp.frags")
int ntp_xdp(struct xdp_md *ctx)
{
	struct work w = {};
	void *data = (void *)(unsigned long)ctx->data;
	void *end = (void *)(unsigned long)ctx->data_end;
	__u32 ifindex = ctx->ingress_ifindex;
	struct interface *i;
	struct ethhdr *eth = data;
	__u32 *to;

	if (end - data != LEN4 && end - data != LEN6)
		return XDP_PASS;
	if (!parse(&w.r, data, end, ifindex))
		return XDP_PASS;
	i = bpf_map_lookup_elem(&interfaces, &ifindex);
	if (!i || w.r.mac[0] != i->mac[0] || w.r.mac[1] != i->mac[1] || w.r.mac[2] != i->mac[2])
		return XDP_PASS;
	if (!answer(&w, ifindex, 0, 1))
		return XDP_PASS;
	if (data + LEN4 > end)
		return XDP_PASS;
#pragma unroll
	for (int j = 0; j < 3; j++) {
		eth->dest[j] = w.r.mac[3 + j];
		eth->source[j] = w.r.mac[j];
	}
	to = data + ETH_HLEN;
	if (w.r.to.family == 4) {
#pragma unroll
		for (int j = 0; j < 19; j++)
			to[j] = w.a.words[j];
	} else {
		if (data + LEN6 > end)
			return XDP_PASS;
#pragma unroll
		for (int j = 0; j < 24; j++)
			to[j] = w.a.words[j];
	}
	return XDP_TX;
}
