#!/usr/bin/env bash
# The fault tests in their long form: JOBS jobs a fault, and a table of what came of them in target/faults.md.
set -euo pipefail
cd "$(dirname "$0")/.."
export JOBS=${JOBS:-2000} REQUIRE_SERVICES=1 FAULTS_TABLE=$PWD/target/faults
rm -rf "$FAULTS_TABLE"
mkdir -p "$FAULTS_TABLE"
status=0
cargo test --release --locked --test it faults:: || status=$?
{
  echo "| fault | jobs | lost | duplicate outcomes | wrong objects | orphan uploads | leaked processes and folders | seconds to recover |"
  echo "|---|---|---|---|---|---|---|---|"
  cat "$FAULTS_TABLE"/*
} | tee target/faults.md
exit "$status"
