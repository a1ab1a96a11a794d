package metrics

import "github.com/prometheus/client_golang/prometheus"

// all are the metrics of this program; those of the process and of the Go runtime
// come beside them.
var all []*prometheus.Desc

func desc(name, help string, labels ...string) *prometheus.Desc {
	d := prometheus.NewDesc("ntsbridge_"+name, help, labels, nil)
	all = append(all, d)
	return d
}

var (
	buildInfo = desc("build_info", "Version of the program; the value is 1.", "version")
	problems  = desc("problems", "What somebody has to look at, by ntsbridge status.")

	packetsReceived = desc("packets_received_total", "NTP packets that came.")
	requests        = desc("requests_total", "NTP packets by kind of authentication, version, and what became of them; reason ok was answered.",
		"kind", "version", "reason")
	answers        = desc("answers_total", "What was sent to NTP packets, by kind of authentication.", "kind", "action")
	modes          = desc("packets_by_mode_total", "NTP packets by NTP mode.", "mode")
	interleaved    = desc("interleaved_answers_total", "Answers in interleaved mode.")
	receiveStamps  = desc("receive_timestamps_total", "Receive timestamps by who took them.", "by")
	transmitStamps = desc("transmit_timestamps_total", "Transmit timestamps by who took them.", "by")
	socketErrors   = desc("socket_errors_total", "Failures of the NTP sockets.", "direction")
	queryBytes     = desc("query_bytes_total", "Octets of answered mode 6 requests and of their answers.", "direction")
	commandPackets = desc("chronyc_packets_total", "Packets of chronyc's protocol that came.")
	commandDropped = desc("chronyc_packets_dropped_total", "Packets of chronyc's protocol that were not answered.")

	fastpathAnswered = desc("fastpath_answered_total", "Requests that the kernel answered, before the sockets.")
	fastpathPassed   = desc("fastpath_passed_total", "Plain requests that the kernel left to the sockets, by cause.", "cause")

	autokeyOperations = desc("autokey_operations_total", "Answered Autokey requests by operation.", "operation")
	autokeyBudget     = desc("autokey_budget_dropped_total", "Autokey requests that the budget of public-key work had no room for.")
	autokeyForeign    = desc("autokey_foreign_seed_packets_total", "Autokey packets under a cookie of another server's seed.")
	autokeySlow       = desc("autokey_slow_lane_dropped_total", "Autokey requests that found the queue for public-key work full.")
	autokeyAmplified  = desc("autokey_amplified_bytes_total", "Octets of Autokey requests whose answers were longer, and of these.",
		"direction")

	keConnections  = desc("ntske_connections", "NTS-KE connections at work.")
	keAccepted     = desc("ntske_connections_accepted_total", "NTS-KE connections that were taken.")
	keDropped      = desc("ntske_connections_dropped_total", "NTS-KE connections that were refused at once.")
	keResults      = desc("ntske_results_total", "NTS-KE connections by what became of them.", "result")
	ntsAgreed      = desc("nts_agreed_total", "Key establishments by AEAD.", "aead")
	ntsCookies     = desc("nts_cookies_issued_total", "Cookies of key establishments by AEAD.", "aead")
	ntsOldCookies  = desc("nts_old_cookie_packets_total", "NTS packets with a cookie of a former key.")
	certificateEnd = desc("certificate_not_after_timestamp_seconds", "When a certificate of NTS-KE ends.", "file")

	clockSynchronised   = desc("clock_synchronised", "Whether what is served is synchronised.")
	clockStratum        = desc("clock_stratum", "Stratum as served; 0: not synchronised.")
	clockLeap           = desc("clock_leap_indicator", "Leap indicator as served: 0 none, 1 insert, 2 delete, 3 not synchronised.")
	clockRootDelay      = desc("clock_root_delay_seconds", "Root delay.")
	clockRootDispersion = desc("clock_root_dispersion_seconds", "Root dispersion.")
	clockBound          = desc("clock_error_bound_seconds", "Root distance: the bound of the error of what is served.")
	clockOffset         = desc("clock_offset_seconds", "Clock minus true time as it is estimated; positive: fast.")
	clockLastOffset     = desc("clock_last_offset_seconds", "By how much the last update found the clock ahead of what it was believed to be.")
	clockRMSOffset      = desc("clock_rms_offset_seconds", "Long-term average of the last offsets.")
	clockFrequency      = desc("clock_frequency_ppm", "Frequency error of the oscillator, parts per million; positive: fast.")
	clockSkew           = desc("clock_skew_ppm", "Bound of the error of the frequency, parts per million.")
	clockHeld           = desc("clock_held", "Whether the clock is left alone although there are sources.")
	clockUpdates        = desc("clock_updates_total", "Updates of the clock.")
	clockSteps          = desc("clock_steps_total", "Steps of the clock.")
	clockForeign        = desc("clock_foreign_changes_total", "Changes of the clock by other programs.")

	sourceInfo      = desc("source_info", "A source; the value is 1.", "source", "member", "mode", "auth", "address")
	sourceState     = desc("source_state", "1 for the state that the source is in.", "source", "member", "state")
	sourceReach     = desc("source_reach_ratio", "Part of the last eight requests that were answered.", "source", "member")
	sourceStratum   = desc("source_stratum", "Stratum that the source tells.", "source", "member")
	sourcePoll      = desc("source_poll_interval_seconds", "Interval of requests.", "source", "member")
	sourceAuthentic = desc("source_authenticated", "Whether the source is authenticated, which Autokey never is.", "source", "member")
	sourceAge       = desc("source_last_sample_age_seconds", "Since the last good sample.", "source", "member")
	sourceOffset    = desc("source_offset_seconds", "By how much the clock is ahead of the source.", "source", "member")
	sourceBound     = desc("source_error_bound_seconds", "Root distance of the source.", "source", "member")
	sourceCookies   = desc("source_nts_cookies", "NTS cookies at hand.", "source", "member")

	inventoryClients = desc("inventory_clients",
		"Clients of the last week by the best means that they were answered by; refused: by none.", "means")
	inventoryCapacity  = desc("inventory_capacity", "Clients that the inventory has room for.")
	inventoryHeld      = desc("inventory_held_clients", "Clients that the inventory holds, of whatever age.")
	inventoryForgotten = desc("inventory_forgotten_clients_total", "Clients that were forgotten for want of room, but for strangers.")
	inventoryBehind    = desc("inventory_store_behind", "Whether the file of the inventory cannot be written.")
	inventoryWatched   = desc("inventory_watched_since_timestamp_seconds", "Since when the inventory has watched without a gap of more than an hour.")
	inventoryLost      = desc("inventory_lost_packets_total", "Packets that the inventory had no time or room to look at.")

	apiRequests = desc("api_requests_total", "Requests to the API and the page, by the way they came and what was answered.",
		"by", "method", "path", "status")
	apiTook      = desc("api_request_duration_seconds", "How long such requests took, but for streams of events.", "by", "method", "path")
	apiListeners = desc("api_event_listeners", "Who listens to the stream of events.")
	apiEvents    = desc("api_events_total", "Events so far.")
	apiLost      = desc("api_events_lost_total", "Events that listeners were too slow for, all of them together.")

	fleetDeclared  = desc("fleet_plan_declared", "Whether a plan of the migration is declared.")
	fleetHeld      = desc("fleet_held", "Whether the whole migration is held.")
	fleetUnkept    = desc("fleet_unkept", "Whether state or history of the migration cannot be written: then no step begins.")
	fleetStage     = desc("fleet_stage", "Stage that was reached: 0 observe, 1 warn, 2 canary, 3 brown-out, 4 refuse, 5 removed.", "group", "means")
	fleetTarget    = desc("fleet_target_stage", "Stage that the plan wants, numbered as in fleet_stage.", "group", "means")
	fleetBrownOuts = desc("fleet_brown_outs_passed", "Brown-outs that went well, of the plan's.", "group", "means")
	fleetGroupHeld = desc("fleet_group_held", "Whether the group is held: by hand, or since a step was backed out.", "group", "means")
	fleetRefused   = desc("fleet_step_refused_packets", "Packets that the step in force refused.", "group", "means")
	fleetRefusing  = desc("fleet_step_refusing", "Whether a step is being tried, and refuses now.", "group", "means")
	fleetWatching  = desc("fleet_step_watching", "Whether a step is being tried, and watches those whom it refused.", "group", "means")
	fleetEnds      = desc("fleet_step_end_timestamp_seconds", "When the step that is being tried ends by itself.", "group", "means")
	fleetClients   = desc("fleet_step_clients", "Clients that the step is about.", "group", "means")
	fleetHurt      = desc("fleet_step_hurt_clients", "Clients of the step that are hurt.", "group", "means")
	fleetBackedOut = desc("fleet_backed_out_hurt_clients", "Clients that a step hurt before it was backed out, until the group is resumed (100: or more).",
		"group", "means")
	fleetShut = desc("fleet_gates_shut", "Gates that are shut before the next step, as they were found in the last hour.", "group", "means")
	fleetDate = desc("fleet_not_before_timestamp_seconds", "Date of the plan before which no step that refuses begins.", "group", "means")
	fleetMute = desc("fleet_step_mute_clients", "Clients of the step that would not show that they are hurt.", "group", "means")
)
