-- In which segments of the audit log a person or a media is named: a keyed hash, or `media:` and an id.
CREATE TABLE catalog_audit (
  tenant TEXT NOT NULL,
  about TEXT NOT NULL,
  -- Number of the segment's first entry.
  segment INTEGER NOT NULL,
  PRIMARY KEY (tenant, about, segment)
) STRICT, WITHOUT ROWID;

-- Up to where the log is in that table: how many entries, and the last segment by the number of its first entry and its SHA-256.
CREATE TABLE catalog_audit_place (
  one INTEGER PRIMARY KEY CHECK (one = 1),
  entries INTEGER NOT NULL,
  last_segment INTEGER,
  last_sha256 TEXT
) STRICT;
INSERT INTO catalog_audit_place (one, entries) VALUES (1, 0);
