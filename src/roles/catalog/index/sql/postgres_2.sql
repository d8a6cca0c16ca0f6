-- In which segments of the audit log a person or a media is named: a keyed hash, or `media:` and an id.
CREATE TABLE catalog_audit (
  tenant TEXT NOT NULL,
  about TEXT NOT NULL,
  -- Number of the segment's first entry.
  segment BIGINT NOT NULL,
  PRIMARY KEY (tenant, about, segment)
);

-- Up to where the log is in that table: how many entries, and the last segment by the number of its first entry and its SHA-256.
CREATE TABLE catalog_audit_place (
  one BIGINT PRIMARY KEY CHECK (one = 1),
  entries BIGINT NOT NULL,
  last_segment BIGINT,
  last_sha256 TEXT
);
INSERT INTO catalog_audit_place (one, entries) VALUES (1, 0);
