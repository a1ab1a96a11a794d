// Package plan reads the declared plan of a migration: which groups of clients
// are to reach which stage by which means, and what must be so before a step.
//
// A plan is a YAML file that lives in the site's version control:
//
//	protected:
//	  - prefixes: [192.0.2.10]
//	    why: certified until 2028
//	windows: {days: [mon, tue, wed, thu], hours: "09:00-16:00", timezone: Europe/Berlin}
//	groups:
//	  - name: frankfurt
//	    labels: [fra]
//	    stages:
//	      symmetric: refuse
//	      autokey: {stage: removed, not_before: 2027-03-01}
//
// prefixes and labels say where a group is, both together; without either it
// is everywhere. keys narrow its symmetric means to these key identifiers, and
// autokey_groups its Autokey means to clients that told one of these groups.
// A group that names the key comes before one that does not, then the longest
// prefix counts. Whoever is protected is never refused.
//
// The stages are observe, warn, canary, brown-out, refuse and removed, always
// in that order. All but the last refuse by silence, for reasons that were
// seen with real clients: whoever gets a kiss or a closed port may stay away
// for an hour, or until somebody restarts it. Lengths are in the client's own
// polls, since nobody shows anything before eight unanswered requests.
//
// Pure: bytes and times are arguments.
package plan
