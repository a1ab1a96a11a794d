// Package clock owns the system clock, or knows it: what a server may tell its
// clients of it, and how our own sources steer it.
//
// Served, not steered: in mode observe another program disciplines the clock
// and the kernel tells whether it does (adjtimex(2): STA_UNSYNC, maxerror,
// leap second flags); in mode local the clock is served at a configured
// stratum whatever the kernel says (Served).
//
// Steered: a Driver feeds package discipline, which is pure, with samples and
// with readings of the kernel's clocks (System), and once a second does to the
// clock what it says: the rate by frequency and, beyond 500 ppm, tick of
// adjtimex; a step by ADJ_SETOFFSET, after clients were told that the clock is
// unsynchronised. The kernel's own loops stay off. At each tick clients get a
// snapshot (ntp.ClockState), and the kernel gets its status: STA_UNSYNC clear
// only while we would serve the clock as synchronised, which also makes the
// kernel set the real-time clock each 11 minutes and timedatectl say so;
// maxerror is the root distance, esterror offset and deviation of the
// estimate.
//
// Beside that the driver
//
//   - has leap seconds inserted or deleted by the kernel, by a step, by a slew,
//     or ignores them: armed on the last day of a month only, by a table or a
//     majority of the selected sources, and kept if all sources are lost
//     before it;
//   - sees suspends and pauses, by comparing CLOCK_BOOTTIME, CLOCK_MONOTONIC
//     and CLOCK_MONOTONIC_RAW, and serves the alarm until sources have
//     answered anew; of pauses that all of these sleep through, what steal
//     time (more than passed), vmclock's disruption marker and the host's clock
//     (ptp_kvm) show, where the machine has them (tried with files that stand
//     for them: a pause of a real machine was not seen with any);
//   - sees within a second that another program changes the clock or its rate,
//     says so, sets it right within the limits of slews and steps, and raises
//     an alarm if it goes on;
//   - refuses changes above a limit (MaxChange), and leaves a clock alone that
//     is beyond the panic threshold;
//   - serves a fallback stratum while no source is there, if configured, but
//     not a clock that it has reason to doubt; the kernel is never told that
//     it is good time;
//   - keeps frequency, its uncertainty and the time of the last
//     synchronisation in a state file, written hourly and at the end, and
//     reads and writes drift files of ntpd or chronyd, so that one can come
//     from there and go back.
//
// When the driver ends it leaves the clock at its best known rate, with no
// slew running. The kernel's status stays what it was, as the clock is as good
// as a moment ago: the kernel lets maxerror grow by 500 ppm and says
// unsynchronised when it has reached 16 s, after some hours, unless the next
// program says otherwise. A leap second that is armed stays armed, and a
// driver that starts before it takes it over. A process that dies without that
// leaves the slew of its last second running; the status decays all the same.
//
// OtherDaemon tells whether another program owns the clock, and a lock keeps
// two of us apart.
//
// It does not choose sources (package discipline does), ask them, or smear.
package clock
