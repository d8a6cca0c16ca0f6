-- One row a media, also of one that was erased: its row then says so and holds nothing else.
CREATE TABLE catalog_media (
  id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  tenant TEXT NOT NULL,
  media_id TEXT NOT NULL,
  -- waiting, failed, rejected, normalized, erased; and their order, in which a later one takes an earlier one's place.
  state TEXT NOT NULL,
  standing BIGINT NOT NULL,
  revision BIGINT NOT NULL,
  event_id TEXT NOT NULL,
  -- Times are in ms since 1970.
  outcome_at BIGINT NOT NULL,
  sent_at BIGINT NOT NULL,
  expires_at BIGINT,
  kind TEXT,
  channel TEXT,
  direction TEXT,
  profile TEXT,
  code TEXT,
  file_name TEXT,
  caption TEXT,
  captioned_at BIGINT,
  transcript TEXT,
  transcribed_at BIGINT,
  -- What is searched for, word by word: of file name and caption, and of the transcript.
  written TEXT NOT NULL DEFAULT '',
  spoken TEXT NOT NULL DEFAULT '',
  certificate TEXT,
  data TEXT NOT NULL,
  words TSVECTOR GENERATED ALWAYS AS (
    array_to_tsvector(array_remove(string_to_array(written || ' ' || spoken, ' '), ''))
  ) STORED,
  UNIQUE (tenant, media_id)
);
CREATE INDEX catalog_media_by_time ON catalog_media (tenant, sent_at DESC, id DESC);
CREATE INDEX catalog_media_due ON catalog_media (expires_at) WHERE expires_at IS NOT NULL;
CREATE INDEX catalog_media_words ON catalog_media USING gin (words) WITH (fastupdate = off);

CREATE TABLE catalog_contact (
  tenant TEXT NOT NULL,
  hash TEXT NOT NULL,
  sent_at BIGINT NOT NULL,
  media BIGINT NOT NULL REFERENCES catalog_media (id) ON DELETE CASCADE,
  PRIMARY KEY (tenant, hash, sent_at, media)
);
CREATE INDEX catalog_contact_by_media ON catalog_contact (media);

CREATE TABLE catalog_tag (
  media BIGINT NOT NULL REFERENCES catalog_media (id) ON DELETE CASCADE,
  tag TEXT NOT NULL,
  PRIMARY KEY (media, tag)
);

CREATE TABLE catalog_revoked (
  link TEXT PRIMARY KEY,
  revoked_at BIGINT NOT NULL
);
