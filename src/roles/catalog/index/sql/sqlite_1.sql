-- One row a media, also of one that was erased: its row then says so and holds nothing else.
CREATE TABLE catalog_media (
  id INTEGER PRIMARY KEY,
  tenant TEXT NOT NULL,
  media_id TEXT NOT NULL,
  -- waiting, failed, rejected, normalized, erased; and their order, in which a later one takes an earlier one's place.
  state TEXT NOT NULL,
  standing INTEGER NOT NULL,
  revision INTEGER NOT NULL,
  event_id TEXT NOT NULL,
  -- Times are in ms since 1970.
  outcome_at INTEGER NOT NULL,
  sent_at INTEGER NOT NULL,
  expires_at INTEGER,
  kind TEXT,
  channel TEXT,
  direction TEXT,
  profile TEXT,
  code TEXT,
  file_name TEXT,
  caption TEXT,
  captioned_at INTEGER,
  transcript TEXT,
  transcribed_at INTEGER,
  -- What is searched for, word by word: of file name and caption, and of the transcript.
  written TEXT NOT NULL DEFAULT '',
  spoken TEXT NOT NULL DEFAULT '',
  certificate TEXT,
  data TEXT NOT NULL,
  UNIQUE (tenant, media_id)
) STRICT;
CREATE INDEX catalog_media_by_time ON catalog_media (tenant, sent_at DESC, id DESC);
CREATE INDEX catalog_media_due ON catalog_media (expires_at) WHERE expires_at IS NOT NULL;

CREATE TABLE catalog_contact (
  tenant TEXT NOT NULL,
  hash TEXT NOT NULL,
  sent_at INTEGER NOT NULL,
  media INTEGER NOT NULL REFERENCES catalog_media (id) ON DELETE CASCADE,
  PRIMARY KEY (tenant, hash, sent_at, media)
) STRICT, WITHOUT ROWID;
CREATE INDEX catalog_contact_by_media ON catalog_contact (media);

CREATE TABLE catalog_tag (
  media INTEGER NOT NULL REFERENCES catalog_media (id) ON DELETE CASCADE,
  tag TEXT NOT NULL,
  PRIMARY KEY (media, tag)
) STRICT, WITHOUT ROWID;

CREATE TABLE catalog_revoked (
  link TEXT PRIMARY KEY,
  revoked_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE VIRTUAL TABLE catalog_text USING fts5 (
  written, spoken, content = 'catalog_media', content_rowid = 'id', tokenize = 'unicode61', detail = 'none'
);
-- Deleted words are taken out of the index's pages at once, and do not stay until a merge.
INSERT INTO catalog_text (catalog_text, rank) VALUES ('secure-delete', 1);
CREATE TRIGGER catalog_text_insert AFTER INSERT ON catalog_media BEGIN
  INSERT INTO catalog_text (rowid, written, spoken) VALUES (new.id, new.written, new.spoken);
END;
CREATE TRIGGER catalog_text_delete AFTER DELETE ON catalog_media BEGIN
  INSERT INTO catalog_text (catalog_text, rowid, written, spoken) VALUES ('delete', old.id, old.written, old.spoken);
END;
CREATE TRIGGER catalog_text_update AFTER UPDATE OF written, spoken ON catalog_media
WHEN old.written <> new.written OR old.spoken <> new.spoken BEGIN
  INSERT INTO catalog_text (catalog_text, rowid, written, spoken) VALUES ('delete', old.id, old.written, old.spoken);
  INSERT INTO catalog_text (rowid, written, spoken) VALUES (new.id, new.written, new.spoken);
END;
