#!/usr/bin/env bash
# A root file system of Debian 13 with its updates and security suite, in the folder that is named. Wants root and debootstrap.
set -euo pipefail
root=${1:?a folder}
command -v debootstrap >/dev/null || {
  echo "debootstrap is missing: apt-get install debootstrap" >&2
  exit 1
}
log=$(mktemp)
trap 'rm -f "$log"' EXIT
debootstrap --variant=minbase trixie "$root" http://deb.debian.org/debian >"$log" 2>&1 || {
  tail -n 20 "$log" >&2
  exit 1
}
# What the published image has, too: without the security suite FFmpeg stays as it was when 13 came out.
cat >"$root/etc/apt/sources.list" <<'LIST'
deb http://deb.debian.org/debian trixie main
deb http://deb.debian.org/debian trixie-updates main
deb http://security.debian.org/debian-security trixie-security main
LIST
# Packages do not stay behind once they are installed, start nothing, and bring no books that nobody reads there.
echo 'DPkg::Post-Invoke { "rm -f /var/cache/apt/archives/*.deb"; };' >"$root/etc/apt/apt.conf.d/clean"
printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d"
chmod +x "$root/usr/sbin/policy-rc.d"
printf 'path-exclude /usr/share/%s/*\n' doc info locale man >"$root/etc/dpkg/dpkg.cfg.d/slim"
for heap in var/cache/apt var/lib/apt/lists usr/share/doc usr/share/info usr/share/locale usr/share/man; do
  find "$root/$heap" -mindepth 1 -delete
done
