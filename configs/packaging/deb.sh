#!/bin/sh
# Makes a Debian package of a program that was built.
#
# usage: deb.sh PROGRAM VERSION OUTPUT.deb
set -eu
program=$1
version=$2
out=$3
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
chmod 755 "$root"
umask 022
sh "$here/stage.sh" "$program" "$root"
mkdir -p "$root/DEBIAN"
arch=$(dpkg --print-architecture)
cat >"$root/DEBIAN/control" <<END
Package: ntsbridge
Version: $version
Architecture: $arch
Maintainer: ntsbridge
Section: net
Priority: optional
Provides: time-daemon
Depends: passwd
Recommends: ca-certificates, tzdata
Description: time server for sites that move from ntpd to NTS
 One process, one UDP port, one clock: unauthenticated, symmetric-key,
 Autokey and NTS clients at the same time.
END
echo /etc/ntsbridge/ntsbridge.yaml >"$root/DEBIAN/conffiles"
cat >"$root/DEBIAN/postinst" <<'END'
#!/bin/sh
set -e
if [ "$1" = configure ]; then
	getent passwd ntsbridge >/dev/null ||
		useradd --system --user-group --home-dir /var/lib/ntsbridge --no-create-home --shell /usr/sbin/nologin ntsbridge
	install -d -m 700 -o ntsbridge -g ntsbridge /var/lib/ntsbridge
	if [ -d /run/systemd/system ]; then
		systemctl daemon-reload || true
		[ -z "$2" ] || systemctl try-restart ntsbridge-clock.service ntsbridge.service ntsbridge-observe.service || true
	fi
	# It is not started by itself: another daemon may have the port.
fi
END
cat >"$root/DEBIAN/prerm" <<'END'
#!/bin/sh
set -e
if [ "$1" = remove ] && [ -d /run/systemd/system ]; then
	systemctl stop ntsbridge.service ntsbridge-observe.service ntsbridge-clock.socket ntsbridge-clock.service || true
fi
END
cat >"$root/DEBIAN/postrm" <<'END'
#!/bin/sh
set -e
[ ! -d /run/systemd/system ] || systemctl daemon-reload || true
if [ "$1" = purge ] && [ -d /var/lib/ntsbridge ]; then
	echo "ntsbridge: /var/lib/ntsbridge stays: keys, cookie secret and Autokey seed are worth more than the disk; delete it by hand" >&2
fi
END
chmod 755 "$root/DEBIAN/postinst" "$root/DEBIAN/prerm" "$root/DEBIAN/postrm"
mkdir -p "$(dirname "$out")"
dpkg-deb --root-owner-group -Zgzip --build "$root" "$out"
