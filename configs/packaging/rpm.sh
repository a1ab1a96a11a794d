#!/bin/sh
# Makes an RPM package of a program that was built, by rpmbuild (package rpm of
# Debian, rpm-build of Fedora).
#
# usage: rpm.sh PROGRAM VERSION OUTPUT.rpm
set -eu
program=$(readlink -f "$1")
version=$2
out=$3
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
command -v rpmbuild >/dev/null || { echo "rpm.sh: rpmbuild is missing: install rpm (Debian) or rpm-build (Fedora)" >&2; exit 1; }
top=$(mktemp -d)
trap 'rm -rf "$top"' EXIT
umask 022
mkdir "$top/stage"
sh "$here/stage.sh" "$program" "$top/stage"
# Where the rpm world has its units.
mkdir -p "$top/stage/usr/lib/systemd/system"
mv "$top"/stage/lib/systemd/system/* "$top/stage/usr/lib/systemd/system/"
rm -r "$top/stage/lib"
mkdir -p "$top/stage/usr/share/zsh/site-functions"
mv "$top/stage/usr/share/zsh/vendor-completions/_ntsbridge" "$top/stage/usr/share/zsh/site-functions/"
rmdir "$top/stage/usr/share/zsh/vendor-completions"
mv "$top/stage/usr/share/fish/vendor_completions.d" "$top/stage/usr/share/fish/completions"
cat >"$top/ntsbridge.spec" <<END
Name: ntsbridge
Version: $version
Release: 1
Summary: Time server for sites that move from ntpd to NTS
License: see the source
BuildArch: $(rpm --eval '%{_host_cpu}')
AutoReqProv: no
Requires: /usr/sbin/useradd
Recommends: ca-certificates
Recommends: tzdata
Provides: ntpdaemon
%description
One process, one UDP port, one clock: unauthenticated, symmetric-key,
Autokey and NTS clients at the same time.
%install
cp -a $top/stage/. %{buildroot}/
%pre
getent passwd ntsbridge >/dev/null ||
	useradd --system --user-group --home-dir /var/lib/ntsbridge --no-create-home --shell /sbin/nologin ntsbridge
%post
install -d -m 700 -o ntsbridge -g ntsbridge /var/lib/ntsbridge
[ ! -d /run/systemd/system ] || systemctl daemon-reload || :
# It is not started by itself: another daemon may have the port.
%preun
[ \$1 -gt 0 ] || [ ! -d /run/systemd/system ] || systemctl stop ntsbridge.service ntsbridge-observe.service ntsbridge-clock.socket ntsbridge-clock.service || :
%postun
[ ! -d /run/systemd/system ] || systemctl daemon-reload || :
[ \$1 -eq 0 ] || [ ! -d /run/systemd/system ] || systemctl try-restart ntsbridge-clock.service ntsbridge.service ntsbridge-observe.service || :
%files
%config(noreplace) /etc/ntsbridge/ntsbridge.yaml
%dir /etc/ntsbridge
/usr
END
rpmbuild -bb --quiet --define "_topdir $top/build" --define "_build_id_links none" --define "debug_package %{nil}" \
	--define "__os_install_post %{nil}" "$top/ntsbridge.spec"
mkdir -p "$(dirname "$out")"
mv "$top"/build/RPMS/*/ntsbridge-*.rpm "$out"
