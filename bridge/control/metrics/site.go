package metrics

import "ntsbridge/bridge/fleet/site"

var (
	siteConnected = desc("site_etcd_connected", "Whether etcd, by which the gateways of the site agree, answers.")
	siteAnswer    = desc("site_etcd_last_answer_timestamp_seconds", "When etcd answered last.")
	siteLatency   = desc("site_etcd_latency_seconds", "How long the last answer took.")
	siteSize      = desc("site_etcd_database_bytes", "Size of etcd's database.")
	siteSessions  = desc("site_etcd_sessions_total", "Times that a member of etcd began to serve this gateway.")
	siteRequests  = desc("site_etcd_requests_total", "Requests to etcd.")
	siteFailures  = desc("site_etcd_failures_total", "Requests that failed.")
	siteWrites    = desc("site_etcd_writes_total", "Keys written.")
	sitePending   = desc("site_pending_buckets", "Groups of clients of which the others are still to be told.")
	siteBehind    = desc("site_history_behind", "Entries of the history that the site does not have yet.")
	siteWaiting   = desc("site_waiting_orders", "Orders to hold or roll back that wait for etcd.")
	siteGateways  = desc("site_gateways", "Gateways that are declared.")
	siteHere      = desc("site_gateways_here", "Declared gateways that are here.")
)

// site shows how gateways agree.
func (w *writer) site(f *site.Figures) {
	if f == nil {
		return
	}
	w.gauge(siteConnected, number(f.Connected))
	if !f.LastAnswer.IsZero() {
		w.gauge(siteAnswer, float64(f.LastAnswer.UnixMilli())/1000)
		w.gauge(siteLatency, f.LastLatency.Seconds())
	}
	if f.Size > 0 {
		w.gauge(siteSize, float64(f.Size))
	}
	w.counter(siteSessions, f.Sessions)
	w.counter(siteRequests, f.Requests)
	w.counter(siteFailures, f.Failures)
	w.counter(siteWrites, f.Writes)
	w.gauge(sitePending, float64(f.Pending))
	w.gauge(siteBehind, float64(f.Behind))
	w.gauge(siteWaiting, float64(f.Waiting))
	w.gauge(siteGateways, float64(f.Gateways))
	w.gauge(siteHere, float64(f.Here))
}
