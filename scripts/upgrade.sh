#!/usr/bin/env bash
# Workers of an older revision beside this one's, at the same queues: an upgrade and a way back under load.
#   FROM=REVISION JOBS=N scripts/upgrade.sh
# FROM is the last tag where it is not given, or else what was 20 commits ago.
set -euo pipefail
cd "$(dirname "$0")/.."
from=${FROM:-$(git describe --tags --abbrev=0 2>/dev/null || git rev-list --max-count=1 --skip=20 HEAD)}
revision=$(git rev-parse --verify --quiet "$from^{commit}") || {
  echo "there is no revision '$from' here: this wants the repository with its history, and FROM=REVISION" >&2
  exit 1
}
echo "older: $(git log -1 --format='%h of %cs, %s' "$revision")"
older=target/upgrade
rm -rf "$older"
mkdir -p "$older/source"
git archive "$revision" | tar --extract --directory "$older/source"
# In the same target folder, so that dependencies are built once.
cargo build --quiet --locked --manifest-path "$older/source/Cargo.toml" --target-dir target --bin mediamill
cp target/debug/mediamill "$older/mediamill"
export OLDER=$PWD/$older/mediamill JOBS=${JOBS:-500} REQUIRE_SERVICES=1
cargo test --quiet --locked --test it faults::upgrade -- --ignored --nocapture
