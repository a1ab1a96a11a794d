#!/bin/sh
# Puts what a package has into a directory: program, units, user, man pages,
# completions, a configuration to begin with. `make install` and `make deb` use
# it.
#
# usage: stage.sh PROGRAM DESTDIR
set -eu
program=$1
dest=$2
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
configs=$here/..

put() { install -D -m "$1" "$2" "$dest$3"; }

put 755 "$program" /usr/sbin/ntsbridge
for unit in ntsbridge ntsbridge-observe ntsbridge-wait ntsbridge-clock; do
	put 644 "$configs/$unit.service" "/lib/systemd/system/$unit.service"
done
put 644 "$configs/ntsbridge-fastpath.conf" /usr/share/doc/ntsbridge/ntsbridge-fastpath.conf
for unit in ntsbridge ntsbridge-clock; do
	put 644 "$configs/$unit.socket" "/lib/systemd/system/$unit.socket"
done
put 644 "$here/sysusers.conf" /usr/lib/sysusers.d/ntsbridge.conf
put 644 "$here/ntp-units.list" /usr/lib/systemd/ntp-units.d/50-ntsbridge.list
[ -e "$dest/etc/ntsbridge/ntsbridge.yaml" ] || put 644 "$here/ntsbridge.yaml" /etc/ntsbridge/ntsbridge.yaml
for doc in README.md INVENTORY.md reference.yaml takeover.yaml mixed-site.yaml nts-only.yaml one-clock.yaml observe-socket.conf least-rights.conf; do
	put 644 "$configs/$doc" "/usr/share/doc/ntsbridge/$doc"
done
for file in rules.yaml rules_test.yaml dashboard.json README.md; do
	[ ! -e "$configs/prometheus/$file" ] || put 644 "$configs/prometheus/$file" "/usr/share/doc/ntsbridge/prometheus/$file"
done

# Man pages say what --help says, to the letter.
page() { # NAME SECTION TITLE <text
	mkdir -p "$dest/usr/share/man/man$2"
	{
		printf '.TH "%s" "%s" "" "ntsbridge" "ntsbridge"\n.SH NAME\n%s \\- %s\n.SH DESCRIPTION\n.nf\n' "$1" "$2" "$1" "$3"
		sed -e 's/\\/\\e/g' -e 's/-/\\-/g' -e "s/^\\([.']\\)/\\\\\&\\1/"
		printf '.fi\n'
	} | gzip -9n >"$dest/usr/share/man/man$2/$1.$2.gz"
}
"$program" --help | page ntsbridge 1 "time server for unauthenticated, symmetric-key, Autokey and NTS clients"
"$program" --help | sed -n '/^Available Commands:/,/^$/s/^  \([a-z]*\)  *\(.*\)/\1 \2/p' | while read -r name short; do
	case $name in
	help | completion) continue ;;
	esac
	"$program" "$name" --help | page "ntsbridge-$name" 1 "$short"
done
page ntsbridge.yaml 5 "configuration of ntsbridge" <"$configs/README.md"

mkdir -p "$dest/usr/share/bash-completion/completions" "$dest/usr/share/zsh/vendor-completions" "$dest/usr/share/fish/vendor_completions.d"
"$program" completion bash >"$dest/usr/share/bash-completion/completions/ntsbridge"
"$program" completion zsh >"$dest/usr/share/zsh/vendor-completions/_ntsbridge"
"$program" completion fish >"$dest/usr/share/fish/vendor_completions.d/ntsbridge.fish"
