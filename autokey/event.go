package autokey

// Event is what became of a message, with the codes of ntpd's log lines and
// cryptostats file (there 0x100 is added).
type Event uint8

// The events.
const (
	EventOK  Event = 0x0 // success
	EventLEN Event = 0x1 // bad field format or length
	EventTSP Event = 0x2 // bad timestamp
	EventFSP Event = 0x3 // bad filestamp
	EventPUB Event = 0x4 // bad or missing public key
	EventMD  Event = 0x5 // unsupported digest type
	EventKEY Event = 0x6 // unsupported identity type
	EventSGL Event = 0x7 // bad signature length
	EventSIG Event = 0x8 // signature not verified
	EventVFY Event = 0x9 // certificate not verified
	EventPER Event = 0xa // host certificate expired
	EventCKY Event = 0xb // bad or missing cookie
	EventDAT Event = 0xc // bad or missing leapseconds
	EventCRT Event = 0xd // bad or missing certificate
	EventID  Event = 0xe // bad or missing group key
	EventERR Event = 0xf // protocol error
)

var eventTexts = [...]string{
	"success", "bad field format or length", "bad timestamp", "bad filestamp",
	"bad or missing public key", "unsupported digest type", "unsupported identity type",
	"bad signature length", "signature not verified", "certificate not verified",
	"host certificate expired", "bad or missing cookie", "bad or missing leapseconds",
	"bad or missing certificate", "bad or missing group key", "protocol error",
}

// String describes the event.
func (e Event) String() string {
	if int(e) < len(eventTexts) {
		return eventTexts[e]
	}
	return "invalid"
}
