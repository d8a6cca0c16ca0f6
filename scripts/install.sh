#!/usr/bin/env bash
# Installs the Debian packages that are missing for `demo` or `test`, says which, and is silent when all are there.
set -euo pipefail

build="build-essential pkg-config clang libclang-dev libavcodec-dev libavformat-dev libavfilter-dev libavutil-dev
       libswscale-dev libswresample-dev"
test="ffmpeg openssl rabbitmq-server chromium python3-venv"
case "${1:-}" in
  demo) wanted=$build ;;
  test) wanted="$build $test" ;;
  *) echo "usage: $0 demo|test" >&2; exit 2 ;;
esac

if ! command -v cargo >/dev/null; then
  echo "cargo is missing: install Rust 1.95 first (rustup)" >&2
  exit 1
fi
if ! command -v dpkg-query >/dev/null; then
  echo "not a Debian system: make sure that these packages' equivalents are there:" $wanted >&2
  exit 0
fi

missing=()
for package in $wanted; do
  [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || missing+=("$package")
done
[ ${#missing[@]} -eq 0 ] && exit 0

as_root=()
[ "$(id -u)" -eq 0 ] || as_root=(sudo)
echo "installing: ${missing[*]}"
apt() { "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq -o Dpkg::Use-Pty=0 "$@" </dev/null; }
apt update
apt install -y --no-install-recommends "${missing[@]}" >/dev/null
