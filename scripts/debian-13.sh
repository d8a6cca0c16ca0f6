#!/usr/bin/env bash
# A root file system of Debian 13 with its updates and security suite, in the folder that is named. Wants root and debootstrap.
set -euo pipefail
root=${1:?a folder}
command -v debootstrap >/dev/null || {
  echo "debootstrap is missing: apt-get install debootstrap" >&2
  exit 1
}
# The mirrors are those that this machine installs its own packages from, by its own /etc/apt/sources.list*: apt-get prints for
# each source the repository, the release and the component. DEBIAN_MIRROR and DEBIAN_SECURITY_MIRROR override them.
from_apt() { # regular expression of a release
  apt-get indextargets --format '$(REPO_URI) $(RELEASE) $(COMPONENT)' 'Created-By: Packages' 2>/dev/null |
    awk -v release="$1" '$3 == "main" && $2 ~ release && !found { print $1; found = 1 }' || true
}
codename=$(. /etc/os-release && echo "${VERSION_CODENAME-}")
mirror=${DEBIAN_MIRROR:-$(from_apt "^${codename:-none}\$")}
security=${DEBIAN_SECURITY_MIRROR:-$(from_apt "^${codename:-none}-security\$")}
if [ -z "$mirror" ] || [ -z "$security" ]; then
  echo "apt's sources on this machine name no mirror of Debian: set DEBIAN_MIRROR and DEBIAN_SECURITY_MIRROR to URLs" >&2
  exit 1
fi

log=$(mktemp)
trap 'rm -f "$log"' EXIT
debootstrap --variant=minbase trixie "$root" "$mirror" >"$log" 2>&1 || {
  tail -n 20 "$log" >&2
  exit 1
}
# Updates and the security suite as the published image has them: without, FFmpeg stays as it was when Debian 13 came out.
cat >"$root/etc/apt/sources.list" <<LIST
deb $mirror trixie main
deb $mirror trixie-updates main
deb $security trixie-security main
LIST
# Packages do not stay behind once they are installed, start nothing, and bring no books that nobody reads there.
echo 'DPkg::Post-Invoke { "rm -f /var/cache/apt/archives/*.deb"; };' >"$root/etc/apt/apt.conf.d/clean"
printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d"
chmod +x "$root/usr/sbin/policy-rc.d"
printf 'path-exclude /usr/share/%s/*\n' doc info locale man >"$root/etc/dpkg/dpkg.cfg.d/slim"
for heap in var/cache/apt var/lib/apt/lists usr/share/doc usr/share/info usr/share/locale usr/share/man; do
  find "$root/$heap" -mindepth 1 -delete
done
