/*
 * mac.h: MACs over the 48 octets of a header, with keys that the server has
 * made ready (symkey.Image): MD5 (RFC 1321) and SHA-1 (FIPS 180-4) of key and
 * packet, and AES-CMAC (RFC 4493) by the kernel's own cipher.
 */

#define ROL(x, n) ((x) << (n) | (x) >> (32 - (n)))

#define MD5_STEP(f, a, b, c, d, i, s, k) \
	a += (f) + (k) + m[i];           \
	a = ROL(a, s) + b

#define MD5_F(a, b, c, d, i, s, k) MD5_STEP(d ^ (b & (c ^ d)), a, b, c, d, i, s, k)
#define MD5_G(a, b, c, d, i, s, k) MD5_STEP(c ^ (d & (b ^ c)), a, b, c, d, i, s, k)
#define MD5_H(a, b, c, d, i, s, k) MD5_STEP(b ^ c ^ d, a, b, c, d, i, s, k)
#define MD5_I(a, b, c, d, i, s, k) MD5_STEP(c ^ (b | ~d), a, b, c, d, i, s, k)

/* Takes the first or second block of the desk into its state. */
__attribute__((noinline)) int md5(struct desk *k, __u32 second)
{
	if (!k)
		return 0;
	const volatile __u32 *m = k->block + 16 * (second & 1);
	__u32 a = k->state[0], b = k->state[1], c = k->state[2], d = k->state[3];

	MD5_F(a, b, c, d,  0,  7, 0xd76aa478);
	MD5_F(d, a, b, c,  1, 12, 0xe8c7b756);
	MD5_F(c, d, a, b,  2, 17, 0x242070db);
	MD5_F(b, c, d, a,  3, 22, 0xc1bdceee);
	MD5_F(a, b, c, d,  4,  7, 0xf57c0faf);
	MD5_F(d, a, b, c,  5, 12, 0x4787c62a);
	MD5_F(c, d, a, b,  6, 17, 0xa8304613);
	MD5_F(b, c, d, a,  7, 22, 0xfd469501);
	MD5_F(a, b, c, d,  8,  7, 0x698098d8);
	MD5_F(d, a, b, c,  9, 12, 0x8b44f7af);
	MD5_F(c, d, a, b, 10, 17, 0xffff5bb1);
	MD5_F(b, c, d, a, 11, 22, 0x895cd7be);
	MD5_F(a, b, c, d, 12,  7, 0x6b901122);
	MD5_F(d, a, b, c, 13, 12, 0xfd987193);
	MD5_F(c, d, a, b, 14, 17, 0xa679438e);
	MD5_F(b, c, d, a, 15, 22, 0x49b40821);

	MD5_G(a, b, c, d,  1,  5, 0xf61e2562);
	MD5_G(d, a, b, c,  6,  9, 0xc040b340);
	MD5_G(c, d, a, b, 11, 14, 0x265e5a51);
	MD5_G(b, c, d, a,  0, 20, 0xe9b6c7aa);
	MD5_G(a, b, c, d,  5,  5, 0xd62f105d);
	MD5_G(d, a, b, c, 10,  9, 0x02441453);
	MD5_G(c, d, a, b, 15, 14, 0xd8a1e681);
	MD5_G(b, c, d, a,  4, 20, 0xe7d3fbc8);
	MD5_G(a, b, c, d,  9,  5, 0x21e1cde6);
	MD5_G(d, a, b, c, 14,  9, 0xc33707d6);
	MD5_G(c, d, a, b,  3, 14, 0xf4d50d87);
	MD5_G(b, c, d, a,  8, 20, 0x455a14ed);
	MD5_G(a, b, c, d, 13,  5, 0xa9e3e905);
	MD5_G(d, a, b, c,  2,  9, 0xfcefa3f8);
	MD5_G(c, d, a, b,  7, 14, 0x676f02d9);
	MD5_G(b, c, d, a, 12, 20, 0x8d2a4c8a);

	MD5_H(a, b, c, d,  5,  4, 0xfffa3942);
	MD5_H(d, a, b, c,  8, 11, 0x8771f681);
	MD5_H(c, d, a, b, 11, 16, 0x6d9d6122);
	MD5_H(b, c, d, a, 14, 23, 0xfde5380c);
	MD5_H(a, b, c, d,  1,  4, 0xa4beea44);
	MD5_H(d, a, b, c,  4, 11, 0x4bdecfa9);
	MD5_H(c, d, a, b,  7, 16, 0xf6bb4b60);
	MD5_H(b, c, d, a, 10, 23, 0xbebfbc70);
	MD5_H(a, b, c, d, 13,  4, 0x289b7ec6);
	MD5_H(d, a, b, c,  0, 11, 0xeaa127fa);
	MD5_H(c, d, a, b,  3, 16, 0xd4ef3085);
	MD5_H(b, c, d, a,  6, 23, 0x04881d05);
	MD5_H(a, b, c, d,  9,  4, 0xd9d4d039);
	MD5_H(d, a, b, c, 12, 11, 0xe6db99e5);
	MD5_H(c, d, a, b, 15, 16, 0x1fa27cf8);
	MD5_H(b, c, d, a,  2, 23, 0xc4ac5665);

	MD5_I(a, b, c, d,  0,  6, 0xf4292244);
	MD5_I(d, a, b, c,  7, 10, 0x432aff97);
	MD5_I(c, d, a, b, 14, 15, 0xab9423a7);
	MD5_I(b, c, d, a,  5, 21, 0xfc93a039);
	MD5_I(a, b, c, d, 12,  6, 0x655b59c3);
	MD5_I(d, a, b, c,  3, 10, 0x8f0ccc92);
	MD5_I(c, d, a, b, 10, 15, 0xffeff47d);
	MD5_I(b, c, d, a,  1, 21, 0x85845dd1);
	MD5_I(a, b, c, d,  8,  6, 0x6fa87e4f);
	MD5_I(d, a, b, c, 15, 10, 0xfe2ce6e0);
	MD5_I(c, d, a, b,  6, 15, 0xa3014314);
	MD5_I(b, c, d, a, 13, 21, 0x4e0811a1);
	MD5_I(a, b, c, d,  4,  6, 0xf7537e82);
	MD5_I(d, a, b, c, 11, 10, 0xbd3af235);
	MD5_I(c, d, a, b,  2, 15, 0x2ad7d2bb);
	MD5_I(b, c, d, a,  9, 21, 0xeb86d391);

	k->state[0] += a;
	k->state[1] += b;
	k->state[2] += c;
	k->state[3] += d;
	return 0;
}

#define SHA1_STEP(f, k)                            \
	do {                                       \
		__u32 t = ROL(a, 5) + (f) + e + (k) + x; \
		e = d;                             \
		d = c;                             \
		c = ROL(b, 30);                    \
		b = a;                             \
		a = t;                             \
	} while (0)

/* The schedule's next word; the last 16 are kept. */
#define SHA1_WORD(i)                                                                                  \
	x = w[((i) + 13) & 15] ^ w[((i) + 8) & 15] ^ w[((i) + 2) & 15] ^ w[(i) & 15];                 \
	x = ROL(x, 1);                                                                                \
	w[(i) & 15] = x

__attribute__((noinline)) int sha1(struct desk *k, __u32 second)
{
	if (!k)
		return 0;
	const volatile __u32 *m = k->block + 16 * (second & 1);
	volatile __u32 *w = k->schedule; /* in memory: the stack has no room */
	__u32 a = k->state[0], b = k->state[1], c = k->state[2], d = k->state[3], e = k->state[4], x;

#pragma unroll
	for (int i = 0; i < 16; i++) {
		x = net32(m[i]);
		w[i] = x;
		SHA1_STEP(d ^ (b & (c ^ d)), 0x5a827999);
	}
#pragma unroll
	for (int i = 16; i < 20; i++) {
		SHA1_WORD(i);
		SHA1_STEP(d ^ (b & (c ^ d)), 0x5a827999);
	}
#pragma unroll
	for (int i = 20; i < 40; i++) {
		SHA1_WORD(i);
		SHA1_STEP(b ^ c ^ d, 0x6ed9eba1);
	}
#pragma unroll
	for (int i = 40; i < 60; i++) {
		SHA1_WORD(i);
		SHA1_STEP((b & c) | (d & (b | c)), 0x8f1bbcdc);
	}
#pragma unroll
	for (int i = 60; i < 80; i++) {
		SHA1_WORD(i);
		SHA1_STEP(b ^ c ^ d, 0xca62c1d6);
	}
	k->state[0] += a;
	k->state[1] += b;
	k->state[2] += c;
	k->state[3] += d;
	k->state[4] += e;
	return 0;
}

/* A digest of key and header, to the desk's mac. */
static inline void digest(struct desk *d, const struct key *k, const __u32 *ntp)
{
	char *packet = (char *)d->block + (k->at & 63);

#pragma unroll
	for (int i = 0; i < 32; i++)
		d->block[i] = k->block[i];
#pragma unroll
	for (int i = 0; i < NTP_WORDS; i++)
		*(__u32 *)(packet + 4 * i) = ntp[i];
#pragma unroll
	for (int i = 0; i < MAC_WORDS; i++)
		d->state[i] = k->state[i];
	if (k->algorithm == KEY_MD5) {
		md5(d, 0);
		if (k->blocks > 1)
			md5(d, 1);
#pragma unroll
		for (int i = 0; i < 4; i++)
			d->mac[i] = d->state[i];
		d->mac[4] = 0;
		return;
	}
	sha1(d, 0);
	if (k->blocks > 1)
		sha1(d, 1);
#pragma unroll
	for (int i = 0; i < MAC_WORDS; i++)
		d->mac[i] = net32(d->state[i]);
}

/* AES-CMAC of three whole blocks: the last one of CBC, with the subkey. */
static inline int cmac(struct desk *d, const struct key *k, __u32 slot, const __u32 *ntp)
{
	struct bpf_dynptr text, iv;
	struct bpf_crypto_ctx *context;
	struct cipher *c = bpf_map_lookup_elem(&ciphers, &slot);

	if (!with_cipher || !c)
		return 0;
	context = c->context;
	if (!context)
		return 0;
#pragma unroll
	for (int i = 0; i < NTP_WORDS; i++)
		d->block[i] = i < 8 ? ntp[i] : ntp[i] ^ k->block[i - 8];
#pragma unroll
	for (int i = 0; i < 4; i++)
		d->state[i] = 0;
	if (bpf_dynptr_from_mem(d->block, NTP_LEN, 0, &text) || bpf_dynptr_from_mem(d->state, 16, 0, &iv) ||
	    bpf_crypto_encrypt(context, &text, &text, &iv))
		return 0;
#pragma unroll
	for (int i = 0; i < 4; i++)
		d->mac[i] = d->block[8 + i];
	d->mac[4] = 0;
	return 1;
}

/* The MAC of a header, to the desk; 0: it cannot be made. */
static inline int make_mac(struct desk *d, const struct key *k, __u32 slot, const __u32 *ntp)
{
	if (k->algorithm == KEY_AES128)
		return cmac(d, k, slot, ntp);
	digest(d, k, ntp);
	return 1;
}

/* Whether a MAC is that of the desk, in the same time for every wrong one. */
static inline int same_mac(const struct desk *d, const __u32 *mac)
{
	__u32 differ = 0;

#pragma unroll
	for (int i = 0; i < MAC_WORDS; i++)
		differ |= d->mac[i] ^ mac[i];
	return differ == 0;
}
