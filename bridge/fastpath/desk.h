/*
 * desk.h: what a processor works with. It is one map's memory, since the stack
 * has little room.
 */

struct desk {
	struct request r;
	struct snapshot s;
	struct {
		__u64 snapshot; /* by when it was made */
		__u64 mono;     /* when */
		__u64 took;     /* from the request's time to the answer's */
	} compared;             /* clocks, last */
	__u32 listener;
	__u32 stamped;
	__u64 receive;
	__u64 transmit;
	union answer a;

	/* Of a MAC. */
	__u32 block[32];
	__u32 state[MAC_WORDS]; /* of AES: the initialisation vector */
	__u32 mac[MAC_WORDS];
	__u32 schedule[16];
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct desk);
} desks SEC(".maps");

/* What a request is judged by; it lies on the stack, for the verifier's sake. */
struct judged {
	struct control *c;
	struct counts *n;
	struct rule *rule;
	struct key *key; /* 0: none is asked for */
	__u32 key_slot;
	struct departure *d;
};
