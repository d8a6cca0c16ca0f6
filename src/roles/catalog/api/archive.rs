//! All media of a contact in one zip archive that opens without this product: `index.json` says what is in it, and each file lies
//! in a folder of its media. It is written while it is sent, and no copy of it is kept.
//!
//! Where something goes wrong in the middle, the archive breaks off before its directory, and no program takes it for whole.

use std::io::{self, Write};

use axum::body::Body;
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::http::request::Parts;
use axum::http::{HeaderValue, Response};
use bytes::Bytes;
use futures_util::stream;
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use zip::write::{SimpleFileOptions, StreamWriter};
use zip::{CompressionMethod, ZipWriter};

use super::problem::Refusal;
use super::record::hashes;
use super::route::Door;
use super::{Api, search};
use crate::links::object_name;
use crate::privacy::audit;
use crate::roles::catalog::access::{Action, Caller, Decision};
use crate::roles::catalog::index::{Filter, Place, Row};
use crate::roles::catalog::objects;
use crate::vocabulary::Role;

/// Pieces that wait to be sent.
const PIECES: usize = 8;
/// A piece is sent when it has this size.
const PIECE_BYTES: usize = 64 << 10;
/// Rows that are asked for together.
const ROWS: u32 = 200;
/// Longest name of a file within the archive, in characters.
const MAX_NAME: usize = 80;
const README: &str = "index.json lists every media with what is known of it and the files that lie here.\n\
                      Files named original are as they were sent; the others were made from them.\n";

impl Api {
    pub(super) async fn archive(
        &self,
        request: &Parts,
        door: &Door,
        tenant: &str,
        contact: &str,
    ) -> Result<Response<Body>, Refusal> {
        let caller = self.caller(request, door, tenant, None).await?;
        // A link is for its files; what is known besides is for those who may export it.
        let is_export = *door == Door::Identity;
        self.expect(request, &caller, if is_export { Action::Export } else { Action::View }, tenant)?;
        self.note(request, audit::Action::Export, |entry| {
            entry.contact = hashes(std::iter::once(contact));
            entry.about = Some("all.zip".to_owned());
        })
        .await?;
        let (sender, receiver) = mpsc::channel(PIECES);
        let filter = Filter { tenant: tenant.to_owned(), contact: Some(contact.to_owned()), ..Filter::default() };
        let writing = Writing { api: self.clone(), caller, filter, is_export, runtime: Handle::current() };
        tokio::task::spawn_blocking(move || {
            let failed = writing.write(Pieces { sender: sender.clone(), piece: Vec::new() });
            if let Err(error) = failed {
                tracing::warn!(kind = %error.kind(), "an archive of a contact's media breaks off");
                // Nobody listens any more, or is told so.
                drop(sender.blocking_send(Err(error)));
            }
        });
        let pieces =
            stream::unfold(receiver, async |mut receiver| receiver.recv().await.map(|piece| (piece, receiver)));
        let mut response = Response::new(Body::from_stream(pieces));
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/zip"));
        headers.insert(CONTENT_DISPOSITION, HeaderValue::from_static("attachment; filename=\"media.zip\""));
        Ok(response)
    }
}

/// Writes one archive, on a thread of its own.
struct Writing {
    api: Api,
    caller: Caller,
    filter: Filter,
    is_export: bool,
    runtime: Handle,
}

type Archive = ZipWriter<StreamWriter<Pieces>>;

impl Writing {
    fn write(mut self, pieces: Pieces) -> io::Result<()> {
        let mut archive = ZipWriter::new_stream(pieces);
        let (mut index, mut after) = (Vec::new(), None);
        loop {
            let rows = self.rows(after)?;
            for row in &rows {
                if let Some(said) = self.media(&mut archive, row, index.len())? {
                    index.push(said);
                }
            }
            after = rows.last().map(|row| row.place);
            if after.is_none() {
                break;
            }
        }
        let made = json!({ "version": 1, "made_at": Timestamp::now().to_string(), "media": index });
        let index = serde_json::to_vec_pretty(&made).map_err(io::Error::other)?;
        archive.start_file("index.json", options(CompressionMethod::Deflated))?;
        archive.write_all(&index)?;
        archive.start_file("README.txt", options(CompressionMethod::Deflated))?;
        archive.write_all(README.as_bytes())?;
        archive.finish()?.into_inner().flush()
    }

    fn rows(&mut self, after: Option<Place>) -> io::Result<Vec<Row>> {
        self.filter.now = Timestamp::now();
        let found = self.runtime.block_on(self.api.0.index.find(&self.filter, after, ROWS));
        found.map_err(io::Error::other)
    }

    /// What the index says of it; nothing where the caller may not have it.
    fn media(&self, archive: &mut Archive, row: &Row, number: usize) -> io::Result<Option<Value>> {
        let action = if self.is_export { Action::Export } else { Action::View };
        if self.caller.may_with(action, row, None) != Decision::Yes {
            return Ok(None);
        }
        let mut files = Vec::new();
        for object in objects(&row.data) {
            let wanted = matches!(object.role, Role::Playback | Role::Rendition | Role::Original) || self.is_export;
            // Who may export has all of it, whatever a role may see otherwise.
            let may = self.is_export || self.caller.may_with(Action::View, row, Some(object.role)) == Decision::Yes;
            if !wanted || !may {
                continue;
            }
            let name = format!("{number:05}{}/{}", suffix(row), object_name(object.role, &object.key));
            let is_there = self.file(archive, &name, &object.key)?;
            files.push(
                json!({ "file": name, "sha256": object.sha256, "mime_type": object.mime_type, "missing": !is_there }),
            );
        }
        let mut said = if self.is_export {
            serde_json::to_value(search::media(row, true)).map_err(io::Error::other)?
        } else {
            json!({ "sent_at": row.sent_at.to_string(), "kind": row.kind, "file_name": row.file_name, "caption": row.caption })
        };
        said["files"] = files.into();
        Ok(Some(said))
    }

    /// Whether the store has it. One that was removed since it was found is named as missing.
    fn file(&self, archive: &mut Archive, name: &str, key: &str) -> io::Result<bool> {
        let opened = self.runtime.block_on(self.api.0.store.open(key, None)).map_err(io::Error::other)?;
        let Some(mut reader) = opened else { return Ok(false) };
        archive.start_file(name, options(CompressionMethod::Stored))?;
        while let Some(piece) = self.runtime.block_on(reader.next()).map_err(io::Error::other)? {
            archive.write_all(&piece)?;
        }
        Ok(true)
    }
}

/// Files of any size: media are compressed already, and their size is not known before they are read.
fn options(method: CompressionMethod) -> SimpleFileOptions {
    SimpleFileOptions::default().compression_method(method).large_file(true)
}

/// The customer's name of the file without anything that leads out of a folder or that a file system keeps for itself.
fn suffix(row: &Row) -> String {
    let Some(name) = &row.file_name else { return String::new() };
    let stem = name.rsplit_once('.').map_or(name.as_str(), |(stem, _)| stem);
    let plain = stem.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c)).take(MAX_NAME).collect::<String>();
    let plain = plain.trim();
    if plain.is_empty() { String::new() } else { format!(" {plain}") }
}

/// Collects bytes to pieces, and waits for the reader where it is slow.
struct Pieces {
    sender: mpsc::Sender<io::Result<Bytes>>,
    piece: Vec<u8>,
}

impl Pieces {
    fn send(&mut self) -> io::Result<()> {
        if self.piece.is_empty() {
            return Ok(());
        }
        let piece = Bytes::from(std::mem::take(&mut self.piece));
        self.sender.blocking_send(Ok(piece)).map_err(|_| io::ErrorKind::BrokenPipe.into())
    }
}

impl Write for Pieces {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.piece.extend_from_slice(bytes);
        if self.piece.len() >= PIECE_BYTES {
            self.send()?;
        }
        Ok(bytes.len())
    }

    /// Only at the end: in between the archive's own flushes would make small pieces.
    fn flush(&mut self) -> io::Result<()> {
        self.send()
    }
}
