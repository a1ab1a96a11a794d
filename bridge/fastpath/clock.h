/*
 * clock.h: what time it is, by the server's snapshot of the clock.
 */

#define STAMP_AGE (1 << 28)   /* ns that a receive timestamp may be old */
#define SECOND 1000000000ULL

/* A duration in the format of timestamps. */
static inline __u64 ntp_duration(__u64 ns)
{
	__u64 sec = ns / SECOND;

	return (sec << 32) + ((ns - sec * SECOND) << 32) / SECOND;
}

/* 2^64 / 10^9, its whole part and 2^-32 of it. */
#define NS_HIGH 18446744073LL
#define NS_LOW 3047500985LL

/*
 * The timestamp that is served for a monotonic time, at most a quarter of a
 * second from the snapshot's. It is rounded as a division would; that costs
 * more than all the rest.
 */
static inline __u64 served(const struct snapshot *s, __u64 mono)
{
	__s64 after = mono - s->mono;
	__s64 smear = s->smear + (after * s->smear_rate >> 32);
	__u64 t = s->time + ((__s64)(s->rest + after * NS_HIGH + (after * NS_LOW >> 32)) >> 32);

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

#define COMPARE_EACH 10000 /* ns between comparisons of clocks */
#define STEP_BACK 1000     /* ns by which two readings of clocks may disagree */
#define STEP_AHEAD 200000  /* and what may pass between them */
