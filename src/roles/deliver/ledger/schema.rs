//! The ledger's tables.

use crate::database::Migrations;

pub(super) const MIGRATIONS: Migrations = Migrations {
    table: "deliver_changes",
    sqlite: &[("deliveries, claims, tombstones and states of destinations", SQLITE)],
    postgres: &[("deliveries, claims, tombstones and states of destinations", POSTGRES)],
};

const SQLITE: &str = "
CREATE TABLE deliver_step (
    destination TEXT NOT NULL, tenant TEXT NOT NULL, media_id TEXT NOT NULL, record TEXT NOT NULL, step TEXT NOT NULL,
    event_id TEXT NOT NULL, remote_id TEXT NOT NULL, revision INTEGER NOT NULL, is_done INTEGER NOT NULL, at_s INTEGER NOT NULL,
    PRIMARY KEY (destination, tenant, media_id, revision, record, step)
) STRICT, WITHOUT ROWID;
CREATE TABLE deliver_event (
    destination TEXT NOT NULL, tenant TEXT NOT NULL, media_id TEXT NOT NULL, event_id TEXT NOT NULL,
    time_s INTEGER NOT NULL, at_s INTEGER NOT NULL,
    PRIMARY KEY (destination, event_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX deliver_event_by_time ON deliver_event (destination, time_s);
CREATE INDEX deliver_event_by_media ON deliver_event (destination, tenant, media_id);
CREATE TABLE deliver_erased (
    destination TEXT NOT NULL, tenant TEXT NOT NULL, media_id TEXT NOT NULL, at_s INTEGER NOT NULL,
    PRIMARY KEY (destination, tenant, media_id)
) STRICT, WITHOUT ROWID;
CREATE TABLE deliver_claim (
    destination TEXT NOT NULL, what TEXT NOT NULL, owner TEXT NOT NULL, until_s INTEGER NOT NULL, now_s INTEGER NOT NULL,
    PRIMARY KEY (destination, what)
) STRICT, WITHOUT ROWID;
CREATE TABLE deliver_standing (
    destination TEXT PRIMARY KEY, stopped_code TEXT NOT NULL, explanation TEXT NOT NULL,
    stopped_at_s INTEGER NOT NULL, failing_since_s INTEGER NOT NULL, failures INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE deliver_token (
    destination TEXT PRIMARY KEY, access TEXT NOT NULL, refresh TEXT NOT NULL, base_url TEXT NOT NULL, expires_s INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
";

const POSTGRES: &str = "
CREATE TABLE deliver_step (
    destination TEXT NOT NULL, tenant TEXT NOT NULL, media_id TEXT NOT NULL, record TEXT NOT NULL, step TEXT NOT NULL,
    event_id TEXT NOT NULL, remote_id TEXT NOT NULL, revision BIGINT NOT NULL, is_done BIGINT NOT NULL, at_s BIGINT NOT NULL,
    PRIMARY KEY (destination, tenant, media_id, revision, record, step)
);
CREATE TABLE deliver_event (
    destination TEXT NOT NULL, tenant TEXT NOT NULL, media_id TEXT NOT NULL, event_id TEXT NOT NULL,
    time_s BIGINT NOT NULL, at_s BIGINT NOT NULL,
    PRIMARY KEY (destination, event_id)
);
CREATE INDEX deliver_event_by_time ON deliver_event (destination, time_s);
CREATE INDEX deliver_event_by_media ON deliver_event (destination, tenant, media_id);
CREATE TABLE deliver_erased (
    destination TEXT NOT NULL, tenant TEXT NOT NULL, media_id TEXT NOT NULL, at_s BIGINT NOT NULL,
    PRIMARY KEY (destination, tenant, media_id)
);
CREATE TABLE deliver_claim (
    destination TEXT NOT NULL, what TEXT NOT NULL, owner TEXT NOT NULL, until_s BIGINT NOT NULL, now_s BIGINT NOT NULL,
    PRIMARY KEY (destination, what)
);
CREATE TABLE deliver_standing (
    destination TEXT PRIMARY KEY, stopped_code TEXT NOT NULL, explanation TEXT NOT NULL,
    stopped_at_s BIGINT NOT NULL, failing_since_s BIGINT NOT NULL, failures BIGINT NOT NULL
);
CREATE TABLE deliver_token (
    destination TEXT PRIMARY KEY, access TEXT NOT NULL, refresh TEXT NOT NULL, base_url TEXT NOT NULL, expires_s BIGINT NOT NULL
);
";
