/*
 * limit.h: the rate limiter of bridge/access, in the memory that it works on.
 */

#define NEVER (-(1LL << 62))

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

/* The limiter's key of a source and of a holder of a key, as bridge/access's Limiter.key. */
static inline __u64 limiter_key(const struct control *c, const struct request *r, __u64 holder)
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
	if (holder)
		key = sip_hash(c->limiter_key[1], c->limiter_key[0], key, holder);
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
static inline int limited(const struct control *c, const struct request *r, __u64 holder, const struct rule *rule, __s64 now)
{
	__u64 key = limiter_key(c, r, holder);
	__u32 at = c->limiter_base + (key >> (c->limiter_shift & 63) & c->limiter_mask);
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
