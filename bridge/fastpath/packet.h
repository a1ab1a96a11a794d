/*
 * packet.h: what a frame asks for, and the frame of an answer.
 */

#define NTP_WORDS 12 /* 32-bit words of a header */
#define NTP_LEN 48
#define UDP_LEN (8 + NTP_LEN)
#define LEN4 (ETH_HLEN + 20 + UDP_LEN)
#define LEN6 (ETH_HLEN + 40 + UDP_LEN)
#define MODE_CLIENT 3
#define MODE_SERVER 4

/* Behind the header: key identifier and MAC. */
#define MAC_WORDS 5
#define TRAILER_WORDS (1 + MAC_WORDS)
#define TRAILER_MD5 20 /* octets; AES-CMAC's, too */
#define TRAILER_SHA1 24

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
	__u32 tail;      /* octets behind the header: 0, TRAILER_MD5 or TRAILER_SHA1 */
	__u32 ntp[NTP_WORDS];
	__u32 trailer[TRAILER_WORDS]; /* 0 where there is none */
};

/* An answer from the IP header on. */
union answer {
	struct {
		struct iphdr ip;
		struct udphdr udp;
		__u32 ntp[NTP_WORDS];
		__u32 trailer[TRAILER_WORDS];
	} v4;
	struct {
		struct ipv6hdr ip;
		struct udphdr udp;
		__u32 ntp[NTP_WORDS];
		__u32 trailer[TRAILER_WORDS];
	} v6;
	__u32 words[30];
};

#define WORDS4 19 /* of an answer without a trailer */
#define WORDS6 24

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

static inline __u64 pseudo4(const __u32 from, const __u32 to, __u32 tail)
{
	return (__u64)from + to + net16(IPPROTO_UDP) + net16(UDP_LEN + tail);
}

static inline __u64 pseudo6(const __u32 *from, const __u32 *to, __u32 tail)
{
	return add_words(add_words(net16(IPPROTO_UDP) + net16(UDP_LEN + tail), from, 4), to, 4);
}

/*
 * A sender on this host leaves the sum of the pseudo header where its network
 * interface would have put the checksum. One that could be either is neither.
 */
static inline int judge_check(const struct request *r, __u64 pseudo, const struct udphdr *udp)
{
	__u64 all = add_words(add_words(pseudo, (const void *)udp, UDP_LEN / 4), r->trailer, TRAILER_WORDS);
	__u32 partial = fold(pseudo);

	if (fold(all) == 0xffff)
		return udp->check == partial ? CHECK_WRONG : CHECK_RIGHT;
	return udp->check == partial ? CHECK_PARTIAL : CHECK_WRONG;
}

static inline int parse_trailer(struct request *r, const __u32 *trailer, void *end)
{
	r->trailer[MAC_WORDS] = 0;
	if (!r->tail) {
#pragma unroll
		for (int i = 0; i < MAC_WORDS; i++)
			r->trailer[i] = 0;
		return 1;
	}
	if ((void *)(trailer + MAC_WORDS) > end)
		return 0;
#pragma unroll
	for (int i = 0; i < MAC_WORDS; i++)
		r->trailer[i] = trailer[i];
	if (r->tail == TRAILER_MD5)
		return 1;
	if ((void *)(trailer + TRAILER_WORDS) > end)
		return 0;
	r->trailer[MAC_WORDS] = trailer[MAC_WORDS];
	return 1;
}

static inline int parse_udp(struct request *r, const struct udphdr *udp, void *end)
{
	const __u32 *ntp = (const void *)(udp + 1);

	if (udp->len != net16(UDP_LEN + r->tail) || !udp->source || !udp->dest)
		return 0;
	r->from_port = udp->source;
	r->to.port = udp->dest;
#pragma unroll
	for (int i = 0; i < NTP_WORDS; i++)
		r->ntp[i] = ntp[i];
	__u8 first = r->ntp[0], version = first >> 3 & 7;
	return (first & 7) == MODE_CLIENT && version >= 1 && version <= 4 && parse_trailer(r, ntp + NTP_WORDS, end);
}

static inline int parse4(struct request *r, void *data, void *end)
{
	const struct iphdr *ip = data + ETH_HLEN;
	const struct udphdr *udp = (const void *)(ip + 1);

	/* No options, no fragment. */
	if (ip->version_ihl != 0x45 || ip->protocol != IPPROTO_UDP || ip->tot_len != net16(20 + UDP_LEN + r->tail) ||
	    (ip->frag_off & ~net16(0x4000)) != 0 || fold(add_words(0, data + ETH_HLEN, 5)) != 0xffff)
		return 0;
	if (!parse_udp(r, udp, end))
		return 0;
	r->check = udp->check ? judge_check(r, pseudo4(ip->saddr, ip->daddr, r->tail), udp) : CHECK_RIGHT;
	r->from[0] = ip->saddr;
	r->to.addr[0] = ip->daddr;
#pragma unroll
	for (int i = 1; i < 4; i++)
		r->from[i] = r->to.addr[i] = 0;
	r->to.ifindex = 0;
	r->to.family = 4;
	r->tos = ip->tos;
	return 1;
}

static inline int parse6(struct request *r, void *data, void *end, __u32 ifindex)
{
	const struct ipv6hdr *ip = data + ETH_HLEN;
	const struct udphdr *udp = (const void *)(ip + 1);
	__u32 begin = net32(ip->version_class_flow);

	/* No extension headers. */
	if (begin >> 28 != 6 || ip->nexthdr != IPPROTO_UDP || ip->payload_len != net16(UDP_LEN + r->tail))
		return 0;
	if (!parse_udp(r, udp, end))
		return 0;
	r->check = udp->check ? judge_check(r, pseudo6(ip->saddr, ip->daddr, r->tail), udp) : CHECK_WRONG;
#pragma unroll
	for (int i = 0; i < 4; i++) {
		r->from[i] = ip->saddr[i];
		r->to.addr[i] = ip->daddr[i];
	}
	r->to.ifindex = (r->to.addr[0] & net32(0xffc00000)) == net32(0xfe800000) ? ifindex : 0;
	r->to.family = 6;
	r->tos = begin >> 20;
	return 1;
}

static inline int known_tail(__u32 tail)
{
	return tail == 0 || tail == TRAILER_MD5 || tail == TRAILER_SHA1;
}

/* Whether a frame of this length could be for us. */
static inline int known_len(__u32 len)
{
	return known_tail(len - LEN4) || known_tail(len - LEN6);
}

/* What a frame asks for; 0: it is none of ours. */
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
	if (eth->proto == net16(ETH_P_IP)) {
		r->tail = end - data - LEN4;
		return known_tail(r->tail) && parse4(r, data, end);
	}
	if (eth->proto == net16(ETH_P_IPV6) && data + LEN6 <= end) {
		r->tail = end - data - LEN6;
		return known_tail(r->tail) && parse6(r, data, end, ifindex);
	}
	return 0;
}

/* The shortest field, and the octets of a type. */
#define FIELD_LEN 28
#define FIELD_NTS 4

/*
 * Whether a frame is a request with NTS, whole, whose first extension field is
 * one of RFC 8915. Whoever gets it looks at the rest, checksums among it.
 */
static inline int parse_nts(struct request *r, void *data, void *end, __u32 ifindex)
{
	const struct ethhdr *eth = data;
	const struct udphdr *udp = data + ETH_HLEN + 20;
	__u32 length = end - data - ETH_HLEN;

	if (data + LEN4 + FIELD_LEN > end || eth->source[0] & 1)
		return 0;
#pragma unroll
	for (int i = 0; i < 3; i++) {
		r->mac[i] = eth->dest[i];
		r->mac[3 + i] = eth->source[i];
	}
	if (eth->proto == net16(ETH_P_IP)) {
		const struct iphdr *ip = data + ETH_HLEN;
		if (ip->version_ihl != 0x45 || ip->protocol != IPPROTO_UDP || ip->tot_len != net16(length) ||
		    (ip->frag_off & ~net16(0x4000)) != 0)
			return 0;
		r->from[0] = ip->saddr;
		r->to.addr[0] = ip->daddr;
#pragma unroll
		for (int i = 1; i < 4; i++)
			r->from[i] = r->to.addr[i] = 0;
		r->to.family = 4;
		r->to.ifindex = 0;
		length -= 20;
	} else if (eth->proto == net16(ETH_P_IPV6) && data + LEN6 + FIELD_LEN <= end) {
		const struct ipv6hdr *ip = data + ETH_HLEN;
		udp = (const void *)(ip + 1);
		length -= 40;
		if (net32(ip->version_class_flow) >> 28 != 6 || ip->nexthdr != IPPROTO_UDP || ip->payload_len != net16(length))
			return 0;
#pragma unroll
		for (int i = 0; i < 4; i++) {
			r->from[i] = ip->saddr[i];
			r->to.addr[i] = ip->daddr[i];
		}
		r->to.family = 6;
		r->to.ifindex = (r->to.addr[0] & net32(0xffc00000)) == net32(0xfe800000) ? ifindex : 0;
	} else {
		return 0;
	}
	const __u8 *ntp = (const void *)(udp + 1);
	r->to.port = udp->dest;
	r->check = CHECK_RIGHT;
	return udp->len == net16(length) && udp->source && udp->dest && (ntp[0] & 0x3f) == (4 << 3 | MODE_CLIENT) &&
	       ntp[NTP_LEN] >= 1 && ntp[NTP_LEN] <= 4 && ntp[NTP_LEN + 1] == FIELD_NTS;
}

/* A partial checksum is that of the pseudo header, which is the answer's too. */
static inline void fill_udp(struct udphdr *udp, const struct request *r, __u64 pseudo, __u32 partial)
{
	udp->source = r->to.port;
	udp->dest = r->from_port;
	udp->len = net16(UDP_LEN + r->tail);
	udp->check = 0;
	if (partial) {
		udp->check = fold(pseudo);
		return;
	}
	__u16 check = ~fold(add_words(pseudo, (const __u32 *)udp, UDP_LEN / 4 + TRAILER_WORDS));
	udp->check = check ? check : 0xffff;
}

/* Puts the header of IPv4 in front of an answer. */
static inline void fill4(union answer *a, const struct request *r, __u32 tos, __u32 partial)
{
	struct iphdr *ip = &a->v4.ip;

	ip->version_ihl = 0x45;
	ip->tos = tos;
	ip->tot_len = net16(20 + UDP_LEN + r->tail);
	ip->id = 0;
	ip->frag_off = net16(0x4000);
	ip->ttl = 64;
	ip->protocol = IPPROTO_UDP;
	ip->check = 0;
	ip->saddr = r->to.addr[0];
	ip->daddr = r->from[0];
	ip->check = ~fold(add_words(0, a->words, 5));
	fill_udp(&a->v4.udp, r, pseudo4(ip->saddr, ip->daddr, r->tail), partial);
}

/* The same of IPv6. */
static inline void fill6(union answer *a, const struct request *r, __u32 tos, __u32 partial)
{
	struct ipv6hdr *ip = &a->v6.ip;

	ip->version_class_flow = net32(6u << 28 | (tos & 0xff) << 20);
	ip->payload_len = net16(UDP_LEN + r->tail);
	ip->nexthdr = IPPROTO_UDP;
	ip->hop_limit = 64;
#pragma unroll
	for (int i = 0; i < 4; i++) {
		ip->saddr[i] = r->to.addr[i];
		ip->daddr[i] = r->from[i];
	}
	fill_udp(&a->v6.udp, r, pseudo6(ip->saddr, ip->daddr, r->tail), partial);
}
