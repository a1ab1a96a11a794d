//go:build ignore

/*
 * fastpath.bpf.c answers requests for time where they arrive: NTPv1 to v4 in
 * mode 3, of 48 octets alone or with the MAC of a symmetric key behind, over
 * IPv4 and IPv6, at an address and port that the server listens on. What it
 * does not fully understand it passes, untouched and uncounted. One source, two
 * programs: at tcx's ingress and as native XDP.
 *
 * The order is that of bridge/server's handler: source and header, access rule,
 * MAC, rate limit, header from the clock, departure. Tables are the server's
 * own where it has one, in memory that both see.
 */
#include "kernel.h"
#include "maps.h"
#include "packet.h"

/* The kernel lends its ciphers to programs of such a licence only. */
char __license[] SEC("license") = "Dual MIT/GPL";

/* For tests: the time is that of the snapshot. */
const volatile __u32 frozen = 0;

/* The kernel has ciphers for programs. */
const volatile __u32 with_cipher = 0;

/* Requests with NTS go to AF_XDP. */
const volatile __u32 with_sockets = 0;

#include "clock.h"
#include "limit.h"
#include "desk.h"
#include "mac.h"

/* A hash of an address, whose upper bits count. */
static inline __u64 hash_of(const __u32 *addr)
{
	return ((addr[0] | (__u64)addr[1] << 32) ^ (addr[2] | (__u64)addr[3] << 32) * 0xbf58476d1ce4e5b9ULL) * 0x9e3779b97f4a7c15ULL;
}

/* The place that a request is for, if it is one of ours. */
static inline struct own *place_of(const struct request *r)
{
	__u32 zero = 0;
	struct near *n = bpf_map_lookup_elem(&nearby, &zero);

	if (n) {
		__u32 at = hash_of(r->to.addr) >> 58;
		const struct own_key *k = &n->places[at].key;
		if (k->family == r->to.family && k->port == r->to.port && k->ifindex == r->to.ifindex && k->addr[0] == r->to.addr[0] &&
		    k->addr[1] == r->to.addr[1] && k->addr[2] == r->to.addr[2] && k->addr[3] == r->to.addr[3])
			return &n->places[at].own;
	}
	return bpf_map_lookup_elem(&addresses, &r->to);
}

static inline struct interface *interface_of(__u32 ifindex)
{
	__u32 at = ifindex & (INTERFACES - 1);
	struct interface *i = bpf_map_lookup_elem(&interfaces, &at);

	return i && i->index == ifindex ? i : 0;
}

/* Whether a source could be this host itself. */
static inline int could_be_own(const __u32 *addr)
{
	__u32 zero = 0, at = hash_of(addr) >> 52;
	struct near *n = bpf_map_lookup_elem(&nearby, &zero);

	return !n || n->filter[at >> 6] >> (at & 63) & 1;
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
	return could_be_own(r->from) && bpf_map_lookup_elem(&addresses, &key) != 0;
}

/* As bridge/server's timestampStore.slot. */
static inline struct departure *departure_of(const struct control *c, __u64 receive)
{
	__u32 group = (receive >> 18) * 0x9e3779b97f4a7c15ULL >> (c->departure_shift & 63);
	__u32 at = (group ^ (__u32)(receive * 0x9e3779b97f4a7c15ULL >> 58)) & ((1 << (-c->departure_shift & 63)) - 1);

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

static inline int pass(struct counts *n, int cause)
{
	n->passed[cause]++;
	return 0;
}

/* The place of a client, made if it has none. */
static inline struct client *client_of(const struct desk *d)
{
	struct client_key key = {.addr = {0, 0, net32(0xffff), d->r.from[0]}, .key = net32(d->r.trailer[0])};
	__u32 zero = 0;
	struct client *l;
	void *nobody;

	if (d->r.to.family == 6) {
#pragma unroll
		for (int i = 0; i < 4; i++)
			key.addr[i] = d->r.from[i];
	}
	l = bpf_map_lookup_elem(&clients, &key);
	if (l)
		return l;
	nobody = bpf_map_lookup_elem(&blank, &zero);
	if (nobody)
		bpf_map_update_elem(&clients, &key, nobody, BPF_NOEXIST);
	return bpf_map_lookup_elem(&clients, &key);
}

static inline void note(const struct control *c, struct counts *n, const struct desk *d)
{
	__u32 epoch = c->epoch;
	struct client *l;
	struct sighting *s;

	if (!epoch)
		return;
	l = client_of(d);
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
	s->received = d->receive;
	s->sent = d->transmit;
#pragma unroll
	for (int i = 0; i < NTP_WORDS; i++)
		s->header[i] = d->r.ntp[i];
	s->port = net16(d->r.from_port);
	s->tos = d->r.tos;
	s->tail = d->r.tail;
}

static inline void count(const struct judged *j, const struct desk *d)
{
	__u32 at = d->listener & (LISTENERS - 1), version = (__u8)d->r.ntp[0] >> 3 & 7;
	__u64 *one = bpf_map_lookup_elem(&listeners, &at);

	if (one)
		(*one)++;
	if (j->key)
		j->n->keyed[version]++;
	else
		j->n->answered[version]++;
	j->n->stamped += d->stamped;
	if (j->rule->hits) {
		at = (j->c->generation & 1) * RULES + j->rule->hits - 1;
		one = bpf_map_lookup_elem(&hits, &at);
		if (one)
			(*one)++;
	}
	note(j->c, j->n, d);
}

static inline void fill_ntp(__u32 *to, const struct snapshot *s, const struct desk *d)
{
	const __u32 *q = d->r.ntp;

#pragma unroll
	for (int i = 0; i < 6; i++)
		to[i] = s->header[i];
	/* Version and poll are the client's. */
	to[0] |= (q[0] & 0x38) | MODE_SERVER | (q[0] & 0x00ff0000);
	to[W_ORIGIN] = q[W_TRANSMIT];
	to[W_ORIGIN + 1] = q[W_TRANSMIT + 1];
	put_time(to, W_RECEIVE, d->receive);
	put_time(to, W_TRANSMIT, d->transmit);
}

/* Header and trailer of the answer; 0: the MAC cannot be made. */
static inline int fill_payload(__u32 *to, const struct judged *j, struct desk *d)
{
	fill_ntp(to, &d->s, d);
	if (!j->key) {
#pragma unroll
		for (int i = 0; i < TRAILER_WORDS; i++)
			to[NTP_WORDS + i] = 0;
		return 1;
	}
	if (!make_mac(d, j->key, j->key_slot, to))
		return 0;
	to[NTP_WORDS] = d->r.trailer[0];
#pragma unroll
	for (int i = 0; i < MAC_WORDS; i++)
		to[NTP_WORDS + 1 + i] = d->mac[i];
	return 1;
}

static inline int fill(const struct judged *j, struct desk *d, __u32 partial)
{
	if (d->r.to.family == 4) {
		if (!fill_payload(d->a.words + 7, j, d))
			return 0;
		fill4(&d->a, &d->r, j->c->tos, partial);
		return 1;
	}
	if (!fill_payload(d->a.words + 12, j, d))
		return 0;
	fill6(&d->a, &d->r, j->c->tos, partial);
	return 1;
}

static inline struct rule *rule_of(const struct request *r, __u32 generation)
{
	struct rule_key key = {.prefixlen = r->to.family == 4 ? 64 : 160};

	key.class = generation << 8 | (__u32)r->to.family << 1 | (r->from_port == net16(123));
#pragma unroll
	for (int i = 0; i < 4; i++)
		key.addr[i] = r->from[i];
	return bpf_map_lookup_elem(&rules, &key);
}

/* Whether a rule has a key among those that it answers. */
static inline int has_key(const struct rule *rule, __u32 slot)
{
	__u32 at = rule->keyed - KEYED_SET;
	struct keyset *k;

	if (rule->keyed < KEYED_SET)
		return rule->keyed == KEYED_ALL;
	k = bpf_map_lookup_elem(&keysets, &at);
	return k && k->has[slot / 64 % (KEYS / 64)] >> (slot & 63) & 1;
}

/* Finds the key that a request names; a cause if it has to be passed. */
static inline int find_key(struct judged *j, const struct desk *d)
{
	__u32 id = net32(d->r.trailer[0]), *slot;

	j->key = 0;
	if (!d->r.tail)
		return j->rule->allowed ? -1 : PASSED_REFUSED;
	slot = bpf_map_lookup_elem(&key_slots, &id);
	if (!slot)
		return PASSED_KEY;
	j->key_slot = *slot;
	j->key = bpf_map_lookup_elem(&keys, &j->key_slot);
	if (!j->key || j->key->id != id || (j->key->algorithm == KEY_SHA1) != (d->r.tail == TRAILER_SHA1))
		return PASSED_KEY;
	return has_key(j->rule, j->key_slot) ? -1 : PASSED_REFUSED;
}

/* Finds a free place for a departure, by the receive timestamp; 0: there is none. */
static inline int find_departure(struct judged *j, struct desk *d)
{
	j->d = 0;
	if (!j->c->departure_shift)
		return 1;
#pragma unroll
	for (int i = 0; i < 4; i++) { /* timestamps name one answer */
		struct departure *at = departure_of(j->c, d->receive);
		if (!at)
			return 0;
		if (*(volatile __u64 *)&at->receive != d->receive) {
			j->d = at;
			return 1;
		}
		d->receive++;
	}
	return 0;
}

/*
 * Whether a request is at one of our places, whole, and from somebody. A sender
 * on this host may leave the checksum to be done.
 */
static inline int ours(struct desk *d, __u32 ifindex, struct counts *n)
{
	struct own *to = place_of(&d->r);

	if (!to || d->r.check == CHECK_WRONG)
		return 0;
	d->listener = to->listener;
	if (d->r.check == CHECK_PARTIAL) {
		struct interface *i = interface_of(ifindex);
		if (!i || !i->partial)
			return 0;
	}
	return no_source(&d->r) ? pass(n, PASSED_SOURCE) : 1;
}

/*
 * The monotonic time of an answer; 0: the clock was stepped since the snapshot.
 * TAI minus monotonic changes with every step. Under load, when reading a clock
 * is a fifth of the work, clocks are compared each 10 us: a step is not known
 * for longer while an answer is on its way.
 */
static inline __u64 answer_time(struct desk *d, __u64 mono)
{
	__u64 now;

	if (frozen)
		return mono;
	if (d->compared.snapshot == d->s.mono && mono - d->compared.mono < COMPARE_EACH)
		return mono + d->compared.took;
	now = bpf_ktime_get_tai_ns() - d->s.tai;
	if (now + STEP_BACK - mono > STEP_BACK + STEP_AHEAD)
		return 0;
	d->compared.snapshot = d->s.mono;
	d->compared.mono = mono;
	d->compared.took = now - mono;
	return now;
}

/*
 * Makes the answer to the desk's request; 0 if it is passed, and then nothing
 * was touched but the counter of the cause. stamp is the kernel's receive
 * timestamp, CLOCK_REALTIME; 0: none. full asks for a whole checksum.
 */
static inline int answer(struct desk *d, __u32 ifindex, __u64 stamp, __u32 full)
{
	__u32 zero = 0, generation;
	struct judged j;
	__u64 mono, age, now;
	int cause;

	j.c = bpf_map_lookup_elem(&standing, &zero);
	j.n = bpf_map_lookup_elem(&counters, &zero);
	if (!j.c || !j.n || !ours(d, ifindex, j.n))
		return 0;
	generation = *(volatile __u32 *)&j.c->generation;
	if (!generation || !read_snapshot(j.c, &d->s))
		return pass(j.n, PASSED_STALE);
	mono = frozen ? d->s.mono : bpf_ktime_get_ns();
	if (mono >= d->s.expiry)
		return pass(j.n, PASSED_STALE);
	j.rule = rule_of(&d->r, generation);
	if (!j.rule || ((__u8)d->r.ntp[0] >> 3 & 7) < j.rule->min_version)
		return pass(j.n, PASSED_REFUSED);
	cause = find_key(&j, d);
	if (cause >= 0)
		return pass(j.n, cause);
	if (interleaved(j.c, &d->r))
		return pass(j.n, PASSED_INTERLEAVED);
	if (j.key && (!make_mac(d, j.key, j.key_slot, d->r.ntp) || !same_mac(d, d->r.trailer + 1)))
		return pass(j.n, PASSED_MAC);

	d->receive = mono;
	age = mono + d->s.offset - stamp;
	d->stamped = stamp != 0 && age < STAMP_AGE;
	if (d->stamped)
		d->receive -= age;
	d->receive = served(&d->s, d->receive);
	if (!find_departure(&j, d))
		return pass(j.n, PASSED_BUSY);

	now = answer_time(d, mono);
	if (!now)
		return pass(j.n, PASSED_STEPPED);
	if (j.rule->limited) {
		cause = limited(j.c, &d->r, net32(d->r.trailer[0]), j.rule, mono - d->s.limiter_mono);
		if (cause >= 0)
			return pass(j.n, cause);
	}
	d->transmit = served(&d->s, now);
	if (!fill(&j, d, d->r.check == CHECK_PARTIAL && !full))
		return pass(j.n, PASSED_KEY);
	if (j.d) {
		__sync_lock_test_and_set(&j.d->receive, 0);
		*(volatile __u64 *)&j.d->transmit = d->transmit;
		__sync_lock_test_and_set(&j.d->receive, d->receive);
	}
	count(&j, d);
	return 1;
}

SEC("tcx/ingress")
int ntp_tcx(struct __sk_buff *skb)
{
	__u16 mac[6];
	void *data, *end;
	__u32 len = skb->len, zero = 0;
	struct desk *d;

	if (!known_len(len) || skb->pkt_type != PACKET_HOST || skb->vlan_present)
		return TCX_NEXT;
	if (skb->protocol != net16(ETH_P_IP) && skb->protocol != net16(ETH_P_IPV6))
		return TCX_NEXT;
	d = bpf_map_lookup_elem(&desks, &zero);
	if (!d || bpf_skb_pull_data(skb, len)) /* in one piece, and ours to write */
		return TCX_NEXT;
	data = (void *)(unsigned long)skb->data;
	end = (void *)(unsigned long)skb->data_end;
	if (!parse(&d->r, data, end, skb->ifindex) || !answer(d, skb->ifindex, skb->tstamp, 0))
		return TCX_NEXT;
#pragma unroll
	for (int i = 0; i < 3; i++) {
		mac[i] = d->r.mac[3 + i];
		mac[3 + i] = d->r.mac[i];
	}
	bpf_skb_store_bytes(skb, 0, mac, sizeof(mac), 0);
	len = (len - ETH_HLEN) & 127;
	if (len > 0 && len <= sizeof(d->a))
		bpf_skb_store_bytes(skb, ETH_HLEN, d->a.words, len, BPF_F_RECOMPUTE_CSUM);
	return bpf_redirect(skb->ifindex, 0);
}

/* Puts words into a frame that has room for them. */
static inline void put_words(__u32 *to, const volatile __u32 *from, int n, void *end)
{
	if ((void *)(to + n) > end)
		return;
#pragma unroll
	for (int i = 0; i < n; i++)
		to[i] = from[i];
}

/* The same with what may stand behind. apart keeps the compiler from making one of two copies. */
#define PUT_ANSWER(to, from, n, end, apart)                                             \
	do {                                                                            \
		put_words(to, from, n, end);                                            \
		put_words(to + n, from + n, MAC_WORDS, end);                            \
		put_words(to + n + MAC_WORDS, from + n + MAC_WORDS, 1, end);            \
		asm volatile("" ::"i"(apart));                                          \
	} while (0)

/* When a request arrived, by the system clock, ns; 0: that is in doubt. */
static inline __u64 arrival(struct desk *d, const struct control *c)
{
	__u64 mono = bpf_ktime_get_ns();

	if (!read_snapshot(c, &d->s) || mono >= d->s.expiry || !answer_time(d, mono))
		return 0;
	return mono + d->s.offset;
}

/* Gives a request with NTS to the socket of AF_XDP, with its arrival in front. */
static inline int to_socket(struct xdp_md *ctx)
{
	void *data = (void *)(unsigned long)ctx->data, *end = (void *)(unsigned long)ctx->data_end;
	__u32 zero = 0, queue = ctx->rx_queue_index, at;
	__u64 stamp, *one, *front;
	struct control *c = bpf_map_lookup_elem(&standing, &zero);
	struct counts *n = bpf_map_lookup_elem(&counters, &zero);
	struct desk *d = bpf_map_lookup_elem(&desks, &zero);
	struct interface *i = interface_of(ctx->ingress_ifindex);

	if (!c || !n || !d || !i || queue >= i->queues || !*(volatile __u32 *)&c->generation)
		return XDP_PASS;
	if (!parse_nts(&d->r, data, end, ctx->ingress_ifindex) || d->r.mac[0] != i->mac[0] || d->r.mac[1] != i->mac[1] ||
	    d->r.mac[2] != i->mac[2] || !ours(d, ctx->ingress_ifindex, n))
		return XDP_PASS;
	stamp = arrival(d, c);
	queue += i->sockets;
	if (bpf_xdp_adjust_meta(ctx, -(int)sizeof(stamp)))
		return XDP_PASS;
	front = (void *)(unsigned long)ctx->data_meta;
	if ((void *)(front + 1) > (void *)(unsigned long)ctx->data)
		return XDP_PASS;
	*front = stamp;
	at = d->listener & (LISTENERS - 1);
	one = bpf_map_lookup_elem(&listeners, &at);
	if (one)
		(*one)++;
	return bpf_redirect_map(&sockets, queue, XDP_PASS);
}

SEC("xdp.frags")
int ntp_xdp(struct xdp_md *ctx)
{
	void *data = (void *)(unsigned long)ctx->data;
	void *end = (void *)(unsigned long)ctx->data_end;
	__u32 ifindex = ctx->ingress_ifindex, zero = 0;
	struct ethhdr *eth = data;
	struct interface *i;
	__u32 *to = data + ETH_HLEN;
	struct desk *d;

	if (!known_len(end - data))
		return with_sockets ? to_socket(ctx) : XDP_PASS;
	d = bpf_map_lookup_elem(&desks, &zero);
	if (!d || !parse(&d->r, data, end, ifindex))
		return XDP_PASS;
	i = interface_of(ifindex);
	if (!i || d->r.mac[0] != i->mac[0] || d->r.mac[1] != i->mac[1] || d->r.mac[2] != i->mac[2])
		return XDP_PASS;
	if (!answer(d, ifindex, 0, 1) || data + LEN4 > end)
		return XDP_PASS;
#pragma unroll
	for (int j = 0; j < 3; j++) {
		eth->dest[j] = d->r.mac[3 + j];
		eth->source[j] = d->r.mac[j];
	}
	if (d->r.to.family == 4)
		PUT_ANSWER(to, d->a.words, WORDS4, end, 4);
	else
		PUT_ANSWER(to, d->a.words, WORDS6, end, 6);
	return XDP_TX;
}

/* Makes the kernel's context of a key of AES-128; of none, takes it away. */
SEC("syscall")
int ntp_cipher(struct cipher_order *o)
{
	struct bpf_crypto_ctx *next = 0, *old;
	struct cipher *c;
	__u32 slot = o->slot;
	int error = 0;

	c = bpf_map_lookup_elem(&ciphers, &slot);
	if (!with_cipher || !c)
		return 1;
	if (o->params.key_len) {
		next = bpf_crypto_ctx_create(&o->params, sizeof(o->params), &error);
		if (!next) {
			o->error = error;
			return 2;
		}
	}
	old = bpf_kptr_xchg(&c->context, next);
	if (old)
		bpf_crypto_ctx_release(old);
	return 0;
}
