#!/usr/bin/env bash
# Installs the Debian packages that are missing for `demo` or `test`, says which, and is silent when all are there.
set -euo pipefail

build="build-essential pkg-config clang libclang-dev libavcodec-dev libavformat-dev libavfilter-dev libavutil-dev
       libswscale-dev libswresample-dev"
test="ffmpeg libheif-examples openssl rabbitmq-server postgresql chromium python3-venv golang-go golang-golang-x-mod-dev
      webkit2gtk-driver xvfb xauth gstreamer1.0-libav gstreamer1.0-plugins-good"
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
# From Debian 13 on, the encoders of heif-enc are packages of their own.
if [[ " ${missing[*]} " == *" libheif-examples "* ]]; then
  for plugin in libheif-plugin-x265 libheif-plugin-aomenc; do
    if apt-cache show "$plugin" >/dev/null 2>&1; then missing+=("$plugin"); fi
  done
fi
apt install -y --no-install-recommends "${missing[@]}" >/dev/null
