#!/bin/sh
# Installs the real NTP daemons that the interop tests talk to, beside the
# system: each Debian suite gets a small root to chroot into. Nothing of the
# machine changes, no maintainer script runs, no service starts.
#
#   FOLDER/bullseye   ntpd, ntpq, ntp-keygen 4.2.8p15 (the classic ntp, with Autokey)
#   FOLDER/bookworm   chronyd, chronyc 4.3
#   FOLDER/trixie     chronyd, chronyc 4.6, ntpd-rs 1.4, ntpsec's ntpd 1.2.3
#   FOLDER/forky      chronyd, chronyc 4.9, or what Debian's next release has come to
#   FOLDER/bullseye-simple  openntpd 6.2p3, sntp 4.2.8p15
#   FOLDER/trixie-python    ntpsec's ntpq, ntpmon and ntpdig, with the Python they need
#   FOLDER/bookworm-samba   samba 4.17, an Active Directory domain controller
#   FOLDER/bookworm-timesync  systemd-timesyncd 252
#   FOLDER/bookworm-monitoring  check_ntp_peer of the monitoring plugins 2.3.3
#   FOLDER/bookworm-prometheus  prometheus and promtool 2.42
#   FOLDER/bookworm-systemd  a system that boots: systemd 252, dpkg, a shell
#   FOLDER/trixie-chromium  chromium without a window, for the page; of the version
#                             that the suite has, since each point release has another
#   FOLDER/trixie-etcd      etcd, etcdctl, etcdutl 3.5.16
#
# usage: peers.sh [FOLDER]    FOLDER defaults to $NTSBRIDGE_PEERS, else .peers
#                             at the top of the repository
#
# The packages come from the mirror that the machine's own apt sources name and
# are checked against debian-archive-keyring. A second run finds everything in
# place and returns at once; a run that was cut off is started over; runs at
# the same time wait for each other.
set -eu

# folder, which begins with the suite, then package=upstream version that the
# tests are written for
recipes='bullseye ntp=1:4.2.8p15
bookworm chrony=4.3
trixie chrony=4.6 ntpd-rs=1.4 ntpsec=1.2.3
forky chrony
bullseye-simple openntpd=1:6.2p3 sntp=1:4.2.8p15
trixie-python ntpsec=1.2.3 ntpsec-ntpdig=1.2.3 python3-ntp=1.2.3 python3=3.13
bookworm-samba samba=2:4.17.12 samba-ad-provision=2:4.17.12 samba-dsdb-modules=2:4.17.12
bookworm-timesync systemd-timesyncd=252
bookworm-monitoring monitoring-plugins-basic=2.3.3
bookworm-prometheus prometheus=2.42.0
trixie-chromium chromium-headless-shell fonts-dejavu-core
bookworm-systemd systemd=252 dpkg=1.21 login=1:4.13
trixie-etcd etcd-server=3.5.16 etcd-client=3.5.16'
# Raise it when a root must be built anew though its recipe has not changed.
edition=1
keyring=/usr/share/keyrings/debian-archive-keyring.gpg

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
peers=${1:-${NTSBRIDGE_PEERS:-$here/../../.peers}}

say() { echo "peers.sh: $*"; }
die() { echo "peers.sh: $*" >&2; exit 1; }

# complete RECIPE: is this root there, whole, and of this recipe?
complete() {
	[ "$(cat "$peers/${1%% *}/.complete" 2>/dev/null)" = "$edition $1" ]
}

# missing prints the recipes that have still to be installed.
missing() {
	echo "$recipes" | while read -r recipe; do
		complete "$recipe" || echo "$recipe"
	done
}

# The tests need these from the machine itself: package, then a file of it.
tools='iproute2 /sbin/ip
util-linux /usr/bin/flock
rpm /usr/bin/rpmbuild
systemd-container /usr/bin/systemd-nspawn
ansible-core /usr/bin/ansible-playbook'
missing_tools() {
	echo "$tools" | while read -r package file; do
		[ -e "$file" ] || [ -e "/usr$file" ] || echo "$package"
	done
}

[ -z "$(missing)$(missing_tools)" ] && exit 0

[ "$(id -u)" = 0 ] || die "needs root, to install packages and because the tests make network namespaces: run it as root, or set NTSBRIDGE_PEERS to a folder where it has run"
command -v apt-get >/dev/null || die "needs a Debian machine (there is no apt-get here)"

mkdir -p "$peers"
peers=$(CDPATH='' cd -- "$peers" && pwd)

# install_on_machine PACKAGE...: the only thing done to the machine itself
install_on_machine() {
	say "installing on this machine: $*"
	apt-get update -qq
	DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null
}
need=$(missing_tools)
[ -e "$keyring" ] || need="$need debian-archive-keyring"
# shellcheck disable=SC2086 # words are wanted
[ -z "$need" ] || install_on_machine $need

exec 9>"$peers/.lock"
flock -w 900 9 || die "another run holds $peers/.lock for 15 minutes: end it and try again"
trap 'rm -rf "$peers"/.new.*' EXIT
rm -rf "$peers"/.new.*          # of runs that were cut off; the lock is ours

# The machine's own mirror: where its apt gets plain Debian from.
mirror=$(apt-get indextargets --format '$(REPO_URI) $(RELEASE) $(COMPONENT)' 'Created-By: Packages' |
	awk '$3 == "main" && $2 !~ /security|updates|backports|experimental/ { print $1; exit }')
[ -n "$mirror" ] || die "found no mirror: the apt sources of this machine name no Debian suite with component main"

# configure_apt DIR SUITE: an apt of its own in DIR, that sees SUITE only and
# believes that nothing is installed
configure_apt() {
	mkdir -p "$1/lists/partial" "$1/archives/partial" "$1/none.d" "$1/debs"
	: >"$1/status"
	echo "deb [signed-by=$keyring] $mirror $2 main" >"$1/sources.list"
	cat >"$1/apt.conf" <<-END
		Dir::Etc::sourcelist "$1/sources.list";
		Dir::Etc::sourceparts "$1/none.d";
		Dir::Etc::preferences "$1/none";
		Dir::Etc::preferencesparts "$1/none.d";
		Dir::State::lists "$1/lists";
		Dir::State::status "$1/status";
		Dir::Cache "$1";
		APT::Sandbox::User "root";
		APT::Install-Recommends "false";
		APT::Update::Error-Mode "any";
		Acquire::Languages "none";
		Acquire::Retries "3";
	END
}

# pinned PACKAGE[=VERSION]: fails unless the suite has this upstream version
pinned() {
	case $1 in *=*) ;; *) return ;; esac
	name=${1%%=*}
	want=${1#*=}
	have=$(apt-cache policy "$name" | awk '$1 == "Candidate:" { print $2 }')
	case ${have:-none} in
	"$want"[!0-9]*) ;;
	*) die "the mirror has $name ${have:-not at all} for $suite; the tests are written for $want. Is $suite still complete on the mirror of this machine's apt sources?" ;;
	esac
}

# system: all that a small system needs, as name=version, but for what is there
# for maintainer scripts alone
system() {
	apt-get -qq -s install systemd dpkg passwd dbus base-passwd login bash dash coreutils diffutils sed grep mawk util-linux mount tar gzip libc-bin |
		sed -n 's/^Inst \([^ ]*\) (\([^ ]*\).*/\1=\2/p' |
		grep -vE '^(perl|libperl|usrmerge|debconf|adduser|libfile-find|libtext-glob|libnumber|dmsetup|gcc|init-system)'
}

# boots ROOT: users and the state of dpkg, as maintainer scripts would make them
boots() {
	cp "$1/usr/share/base-passwd/passwd.master" "$1/etc/passwd"
	cp "$1/usr/share/base-passwd/group.master" "$1/etc/group"
	echo 'messagebus:x:101:101::/nonexistent:/usr/sbin/nologin' >>"$1/etc/passwd"
	echo 'messagebus:x:101:' >>"$1/etc/group"
	: >"$1/etc/machine-id"
	[ -e "$1/bin/sh" ] || ln -s dash "$1/bin/sh"
	[ -e "$1/usr/bin/awk" ] || ln -s mawk "$1/usr/bin/awk"
	mkdir -p "$1/var/lib/dpkg/info" "$1/var/lib/dpkg/updates" "$1/var/log"
	for deb in "$2"/*.deb; do
		dpkg-deb -f "$deb" | sed '1a Status: install ok installed'
		echo
		: >"$1/var/lib/dpkg/info/$(dpkg-deb -f "$deb" Package).list"
	done >"$1/var/lib/dpkg/status"
	chroot "$1" systemd-sysusers 2>/dev/null
}

# libraries PACKAGE: the package and the libraries it needs, as name=version;
# those of Python only for packages that are Python's, as Samba's tools are
libraries() {
	case $1 in
	python3*) also=python3 without=^libperl ;;
	samba*) also='samba|python3|tdb-tools|netbase' without=^libperl ;;
	prometheus) also=$1= without='^libjs' ;;
	chromium*) also='chromium|fonts-' without='^lib(perl|python|llvm|gl1-mesa)' ;;
	*) also=$1= without='^lib(perl|python)' ;;
	esac
	apt-get -qq -s install "$1" |
		sed -n 's/^Inst \([^ ]*\) (\([^ ]*\).*/\1=\2/p' |
		grep -E "^(lib|zlib|media-types=|$also|$1=)" | grep -vE "$without"
}

# finish ROOT: what maintainer scripts would have made, as far as needed
finish() {
	for d in bin sbin lib lib64; do
		[ -e "$1/$d" ] || ln -s "usr/$d" "$1/$d"
	done
	mkdir -p "$1/dev" "$1/proc" "$1/mnt" "$1/tmp" "$1/run" "$1/root" "$1/etc" "$1/var/lib"
	printf 'root:x:0:0:root:/root:/bin/sh\nntpd:x:101:101::/root:/bin/false\n' >"$1/etc/passwd"
	printf 'root:x:0:\nntpd:x:101:\n' >"$1/etc/group"
	echo '127.0.0.1 localhost' >"$1/etc/hosts"
	printf "ntp 123/udp\nntske 4460/tcp\n" >"$1/etc/services"
}

# check ROOT PROGRAM PATTERN: does it run here, and is it what it should be?
check() {
	out=$(chroot "$1" "$2" --version 2>&1) || true
	case $out in
	*$3*) say "$out" | head -n 1 ;;
	*) die "$2 of $suite does not run or is not version $3: $out" ;;
	esac
}

install_root() {
	folder=${1%% *}
	suite=${folder%%-*}
	packages=${1#* }
	say "installing $folder: $packages"
	new=$(mktemp -d "$peers/.new.XXXXXX")
	chmod 755 "$new"
	apt=$new/apt
	root=$new/root
	mkdir "$apt" "$root"
	configure_apt "$apt" "$suite"
	(
		export APT_CONFIG="$apt/apt.conf" LC_ALL=C DEBIAN_FRONTEND=noninteractive
		apt-get -qq update || die "could not read $suite from the mirror of this machine's apt sources, or its signature is not one of $keyring"
		for p in $packages; do
			pinned "$p"
			libraries "${p%%=*}" >>"$apt/want" || die "could not resolve what ${p%%=*} of $suite needs"
		done
		# Of Samba's file systems only the package itself: what it needs is large.
		case $folder in
		bookworm-samba) echo samba-vfs-modules >>"$apt/want" ;;
		bookworm-systemd) system >>"$apt/want" ;;
		esac
		cd "$apt/debs"
		# shellcheck disable=SC2046 # words are wanted
		apt-get -qq download $(sort -u "$apt/want") || die "could not download all packages of $suite"
	) || exit 1
	for deb in "$apt"/debs/*.deb; do
		dpkg-deb -x "$deb" "$root"
	done
	finish "$root"
	case $folder in bookworm-systemd) boots "$root" "$apt/debs" ;; esac
	rm -rf "$apt" "$root/usr/share/doc" "$root/usr/share/man" "$root/usr/share/locale"
	case $folder in
	bullseye) check "$root" /usr/sbin/ntpd 4.2.8p15 ;;
	bookworm) check "$root" /usr/sbin/chronyd ' 4.3 ' ;;
	trixie)
		check "$root" /usr/sbin/chronyd ' 4.6'
		check "$root" /usr/bin/ntp-daemon ' 1.4'
		check "$root" /usr/sbin/ntpd ntpsec-1.2.3
		;;
	forky)
		# chronyc becomes this user when root runs it, who stays root.
		echo '_chrony:x:0:0::/:/bin/false' >>"$root/etc/passwd"
		echo '_chrony:x:0:' >>"$root/etc/group"
		check "$root" /usr/sbin/chronyd ' 4.'
		;;
	bullseye-simple) check "$root" /usr/bin/sntp 4.2.8p15 ;;
	trixie-python)
		check "$root" /usr/bin/ntpq ntpsec-1.2.3
		check "$root" /usr/bin/ntpdig ntpsec-1.2.3
		;;
	bookworm-systemd) check "$root" /bin/systemctl 'systemd 252' ;;
	# It knows no --version, and says so.
	bookworm-timesync) check "$root" /lib/systemd/systemd-timesyncd 'does not take arguments' ;;
	bookworm-monitoring) check "$root" /usr/lib/nagios/plugins/check_ntp_peer 'v2.3.3' ;;
	trixie-chromium) check "$root" /usr/lib/chromium/chromium-headless-shell Chromium ;;
	bookworm-prometheus)
		rm -rf "$root/usr/share/prometheus"
		check "$root" /usr/bin/promtool 2.42
		;;
	trixie-etcd) check "$root" /usr/bin/etcd 'etcd Version: 3.5.16' ;;
	bookworm-samba)
		mkdir -p "$root/etc/samba" "$root/var/lib/samba/private" "$root/var/cache/samba" "$root/var/log/samba"
		echo 'nobody:x:65534:65534::/:/bin/false' >>"$root/etc/passwd"
		printf 'nogroup:x:65534:\nusers:x:100:\n' >>"$root/etc/group"
		check "$root" /usr/sbin/samba 4.17
		;;
	esac
	echo "$edition $1" >"$root/.complete"
	rm -rf "${peers:?}/$folder"
	mv "$root" "$peers/$folder"
	rm -rf "$new"
}

# A here-document, not a pipe: die must end this shell, not a child of it.
while read -r recipe; do
	[ -z "$recipe" ] || install_root "$recipe" </dev/null
done <<END
$(missing)
END
say "all peers are in $peers"
