#!/usr/bin/env bash
# The kills of `deliver` in their long form, KILLS a CRM, then two replicas with a ledger in PostgreSQL, and a table of what the CRMs
# have afterwards in target/crm-kills.md.
set -euo pipefail
cd "$(dirname "$0")/.."
export KILLS=${KILLS:-200} REQUIRE_SERVICES=1 CRM_KILLS_TABLE=$PWD/target/crm-kills
rm -rf "$CRM_KILLS_TABLE"
mkdir -p "$CRM_KILLS_TABLE"
status=0
cargo test --locked --test it -- crm::deliveries:: crm::replicas:: || status=$?
{
  echo "| CRM | kills | media | notes | files | duplicates | missing | mails |"
  echo "|---|---|---|---|---|---|---|---|"
  cat "$CRM_KILLS_TABLE"/*
} | tee target/crm-kills.md
exit "$status"
