#!/usr/bin/env bash
# An S3 server that is not ours (moto), in a virtual environment below target/; silent when it is there.
set -euo pipefail
cd "$(dirname "$0")/.."
venv=target/venv
wanted='moto[s3,server]==5.2.5'
[ "$(cat "$venv/.installed" 2>/dev/null)" = "$wanted" ] && exit 0
echo "installing into $venv: $wanted"
rm -rf "$venv"
/usr/bin/python3 -m venv "$venv"
"$venv/bin/pip" install --quiet --disable-pip-version-check "$wanted"
echo "$wanted" > "$venv/.installed"
