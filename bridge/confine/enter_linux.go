package confine

import (
	"errors"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
	"unsafe"

	"github.com/landlock-lsm/go-landlock/landlock"
	"golang.org/x/sys/unix"
	"kernel.org/pub/linux/libs/security/libcap/psx"
)

// Enter carries the plan out. On an error the process has given up some of it
// and should end.
func Enter(p Plan) (Report, error) {
	var r Report
	if err := keepMemory(); err != nil {
		return r, err
	}
	if err := p.becomeUser(&r); err != nil {
		return r, err
	}
	if err := p.keepCapabilities(&r); err != nil {
		return r, err
	}
	if err := onAllThreads(unix.SYS_PRCTL, unix.PR_SET_NO_NEW_PRIVS, 1); err != nil {
		return r, fmt.Errorf("no new privileges: %w", err)
	}
	if p.Sandbox == SandboxOff || p.Sandbox == "" {
		return r, nil
	}
	if p.Sandbox == SandboxEnforce {
		p.restrictFiles(&r)
	}
	p.restrictCalls(&r)
	return r, nil
}

// onAllThreads makes a system call on every thread of the process.
func onAllThreads(call uintptr, a, b uintptr) error {
	if _, _, errno := psx.Syscall6(call, a, b, 0, 0, 0, 0); errno != 0 {
		return errno
	}
	return nil
}

// keepMemory keeps keys out of core dumps, and other processes out of memory.
func keepMemory() error {
	if err := unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}); err != nil {
		return fmt.Errorf("no core dumps: %w", err)
	}
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		return fmt.Errorf("memory is not to be read: %w", err)
	}
	return nil
}

// defaultUser is become if it exists and the configuration names none.
const defaultUser = "ntsbridge"

// becomeUser gives up root for a user, who gets the directories that are
// written to.
func (p Plan) becomeUser(r *Report) error {
	if os.Geteuid() != 0 {
		return nil
	}
	u, err := p.account()
	switch {
	case err != nil:
		return err
	case u == nil && p.User == "":
		r.Notes = append(r.Notes,
			"there is no user "+defaultUser+": the process stays root, with few capabilities; make one (useradd -r "+defaultUser+") or set user")
		return nil
	case u == nil:
		return nil
	}
	name := u.Username
	uid, gid, groups, err := identity(u)
	if err != nil {
		return fmt.Errorf("user %s: %w", name, err)
	}
	for _, dir := range p.Write {
		if err := giveTo(dir, uid, gid); err != nil {
			return fmt.Errorf("directory %s for user %s: %w", dir, name, err)
		}
	}
	if err := onAllThreads(unix.SYS_PRCTL, unix.PR_SET_KEEPCAPS, 1); err != nil {
		return fmt.Errorf("keep capabilities: %w", err)
	}
	for _, step := range []error{syscall.Setgroups(groups), syscall.Setresgid(gid, gid, gid), syscall.Setresuid(uid, uid, uid)} {
		if step != nil {
			return fmt.Errorf("become user %s: %w", name, step)
		}
	}
	r.User = name
	return keepMemory() // another user makes the process dumpable again
}

// account returns the user to become, nil for none: there is no default user,
// or root is named.
func (p Plan) account() (*user.User, error) {
	name := p.User
	if name == "" {
		name = defaultUser
	}
	u, err := user.Lookup(name)
	switch {
	case errors.As(err, new(user.UnknownUserError)) && p.User == "":
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("user %s: %w", name, err)
	case u.Uid == "0":
		return nil, nil
	}
	return u, nil
}

// Owner returns the number of the user that the process will become, 0 if it
// stays what it is. Directories that an earlier start gave to that user are
// its own.
func (p Plan) Owner() int {
	if os.Geteuid() != 0 {
		return 0
	}
	u, err := p.account()
	if err != nil || u == nil {
		return 0
	}
	uid, err := strconv.Atoi(u.Uid)
	if err != nil {
		return 0
	}
	return uid
}

func identity(u *user.User) (uid, gid int, groups []int, err error) {
	if uid, err = strconv.Atoi(u.Uid); err != nil {
		return
	}
	if gid, err = strconv.Atoi(u.Gid); err != nil {
		return
	}
	names, err := u.GroupIds()
	if err != nil {
		names, err = []string{u.Gid}, nil
	}
	for _, n := range names {
		g, err := strconv.Atoi(n)
		if err != nil {
			return 0, 0, nil, err
		}
		groups = append(groups, g)
	}
	return
}

// giveTo gives a directory and the files in it that root made to a user.
// Directories of the system and links are left alone.
func giveTo(dir string, uid, gid int) error {
	if filepath.Dir(dir) == "/" || filepath.Dir(dir) == "/usr" || filepath.Dir(dir) == "/var" || dir == "/dev" {
		return nil
	}
	return filepath.WalkDir(dir, func(name string, e os.DirEntry, err error) error {
		if errors.Is(err, os.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return nil // gone
		}
		if st, ok := info.Sys().(*syscall.Stat_t); ok && st.Uid == 0 && (st.Nlink == 1 || e.IsDir()) {
			return os.Lchown(name, uid, gid)
		}
		return nil
	})
}

// capabilityNames are of those that are ever kept.
var capabilityNames = map[int]string{
	unix.CAP_NET_BIND_SERVICE: "CAP_NET_BIND_SERVICE",
	unix.CAP_SYS_TIME:         "CAP_SYS_TIME",
	unix.CAP_NET_ADMIN:        "CAP_NET_ADMIN",
	unix.CAP_DAC_READ_SEARCH:  "CAP_DAC_READ_SEARCH",
}

// keepCapabilities drops all but a few, of which no more are had than before.
func (p Plan) keepCapabilities(r *Report) error {
	var keep []int
	if !p.Alone {
		keep = append(keep, unix.CAP_NET_BIND_SERVICE)
	}
	if p.Clock {
		keep = append(keep, unix.CAP_SYS_TIME)
	}
	if p.Network {
		keep = append(keep, unix.CAP_NET_ADMIN)
	}
	if os.Geteuid() == 0 && !p.Alone { // a reload reads key files of others
		keep = append(keep, unix.CAP_DAC_READ_SEARCH)
	}
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var had, data [2]unix.CapUserData
	if err := unix.Capget(&header, &had[0]); err != nil {
		return fmt.Errorf("capabilities: %w", err)
	}
	for _, c := range keep {
		if had[c/32].Permitted>>(c%32)&1 != 0 {
			data[c/32].Permitted |= 1 << (c % 32)
			r.Capabilities = append(r.Capabilities, capabilityNames[c])
		}
	}
	for i := range data {
		data[i].Effective = data[i].Permitted
	}
	if had[0].Permitted>>unix.CAP_SETPCAP&1 != 0 {
		for i := range had { // who became another user has none in effect
			had[i].Effective = had[i].Permitted
		}
		if err := setCapabilities(&had); err != nil {
			return err
		}
		if r.User != "" { // what a goroutine made as root after the first time
			for _, dir := range p.Write {
				if err := giveTo(dir, os.Geteuid(), os.Getegid()); err != nil {
					return fmt.Errorf("directory %s for user %s: %w", dir, r.User, err)
				}
			}
		}
		for c := 0; c <= unix.CAP_LAST_CAP; c++ {
			if data[c/32].Permitted>>(c%32)&1 == 0 {
				if err := onAllThreads(unix.SYS_PRCTL, unix.PR_CAPBSET_DROP, uintptr(c)); err != nil && err != unix.EINVAL {
					return fmt.Errorf("bounding set: %w", err)
				}
			}
		}
	}
	err := setCapabilities(&data)
	if errors.Is(err, unix.EPERM) && noMore(&had, &data) {
		r.Notes = append(r.Notes, "capabilities stay as the service manager gave them, which lets this process give up none: let its filter pass capset")
		return nil
	}
	return err
}

// noMore tells whether what a process had is no more than what it shall have.
func noMore(had, shall *[2]unix.CapUserData) bool {
	return had[0].Permitted&^shall[0].Permitted == 0 && had[1].Permitted&^shall[1].Permitted == 0
}

// setCapabilities gives them to every thread.
func setCapabilities(data *[2]unix.CapUserData) error {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	if err := onAllThreads(unix.SYS_CAPSET, uintptr(unsafe.Pointer(&header)), uintptr(unsafe.Pointer(&data[0]))); err != nil {
		return fmt.Errorf("capabilities: %w", err)
	}
	return nil
}

// restrictFiles confines the process to the files of the plan.
func (p Plan) restrictFiles(r *Report) {
	devices := landlock.RWFiles("/dev").WithIoctlDev()
	err := landlock.V5.BestEffort().RestrictPaths(
		landlock.RODirs(p.Read...).IgnoreIfMissing(),
		landlock.RODirs("/dev").IgnoreIfMissing(),
		devices.IgnoreIfMissing(),
		landlock.RWDirs(p.Write...).WithRefer().IgnoreIfMissing(),
		// Sockets on which a chronyd answers, and those of reference clocks.
		landlock.PathAccess(accessSockets, "/run", "/var/run").IgnoreIfMissing(),
	)
	if err != nil {
		r.Notes = append(r.Notes, "files are not restricted: "+err.Error())
		return
	}
	r.Landlock = landlockVersion() > 0
	if !r.Landlock {
		r.Notes = append(r.Notes, "files are not restricted: the kernel has no Landlock, or a service manager's filter does not let it pass (landlock_create_ruleset)")
	}
}

// accessSockets is LANDLOCK_ACCESS_FS_MAKE_SOCK and REMOVE_FILE, READ_DIR.
const accessSockets = unix.LANDLOCK_ACCESS_FS_MAKE_SOCK | unix.LANDLOCK_ACCESS_FS_REMOVE_FILE | unix.LANDLOCK_ACCESS_FS_READ_DIR

// landlockVersion returns the kernel's, 0 for none.
func landlockVersion() int {
	v, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, 0, 0, unix.LANDLOCK_CREATE_RULESET_VERSION)
	if errno != 0 {
		return 0
	}
	return int(v)
}
