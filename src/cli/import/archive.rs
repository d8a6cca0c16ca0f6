//! The .zip of an exported WhatsApp chat. What is in it is not trusted: names lead nowhere, and sizes are counted.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use uuid::Uuid;
use zip::ZipArchive;

use super::found::{media_id, sha256};
use super::{Progress, Sender, chat, uploaded};
use crate::cli::CliError;
use crate::config::Config;
use crate::events::Message;
use crate::store::Store;

/// Most files of an archive.
const MAX_FILES: usize = 100_000;
/// Most bytes of a chat's text.
const MAX_TEXT_BYTES: u64 = 64 << 20;

/// A file on this machine that is removed when this is dropped.
struct Unpacked {
    path: PathBuf,
    file: File,
}

impl Drop for Unpacked {
    fn drop(&mut self) {
        // It may be gone; whoever empties the directory removes it otherwise.
        drop(std::fs::remove_file(&self.path));
    }
}

/// Asks for every file of the archive, after a copy of it is in the store's inbox.
pub(super) async fn import(
    path: &Path,
    config: &Config,
    store: &Store,
    (sender, me): (&Sender<'_>, &str),
    progress: &mut Progress,
) -> Result<(), CliError> {
    let mut archive = ZipArchive::new(File::open(path)?).map_err(unreadable)?;
    if archive.len() > MAX_FILES {
        return Err(CliError::Usage(format!("the archive has more than {MAX_FILES} files")));
    }
    let names = names(&mut archive)?;
    let senders = senders(&mut archive, &names)?;
    let dir = match config.worker.scratch_dir.as_os_str().is_empty() {
        true => std::env::temp_dir(),
        false => config.worker.scratch_dir.clone(),
    };
    for (index, name) in names.iter().enumerate() {
        let Some(name) = name.as_ref().filter(|name| !is_text(name)) else { continue };
        let unpacked = unpack(&mut archive, index, &dir, sender.limit_bytes)?;
        if !sender.takes(unpacked.file.metadata()?.len(), progress)? {
            continue;
        }
        let media_id = media_id(&["chat", name, &sha256(&unpacked.file)?]);
        let message = message(senders.get(name), me);
        sender.ask(uploaded(store, &media_id, name, &unpacked.path, Some(message)).await?, progress).await?;
    }
    Ok(())
}

/// The name of each entry that is a file, without its folders.
fn names(archive: &mut ZipArchive<File>) -> Result<Vec<Option<String>>, CliError> {
    let count = archive.len();
    let name = |index| {
        let entry = archive.by_index_raw(index).map_err(unreadable)?;
        let path = entry.enclosed_name().filter(|_| entry.is_file());
        Ok(path.and_then(|path| Some(path.file_name()?.to_string_lossy().into_owned())))
    };
    (0..count).map(name).collect()
}

fn is_text(name: &str) -> bool {
    name.to_ascii_lowercase().ends_with(".txt")
}

fn senders(archive: &mut ZipArchive<File>, names: &[Option<String>]) -> Result<HashMap<String, String>, CliError> {
    let files: HashSet<String> = names.iter().flatten().filter(|name| !is_text(name)).cloned().collect();
    let mut senders = HashMap::new();
    for (index, _) in names.iter().enumerate().filter(|(_, name)| name.as_deref().is_some_and(is_text)) {
        let mut text = Vec::new();
        archive.by_index(index).map_err(unreadable)?.take(MAX_TEXT_BYTES).read_to_end(&mut text)?;
        senders.extend(chat::senders(&String::from_utf8_lossy(&text), &files));
    }
    Ok(senders)
}

/// Writes an entry to a file, no more of it than one byte above the limit.
fn unpack(archive: &mut ZipArchive<File>, index: usize, dir: &Path, limit_bytes: u64) -> Result<Unpacked, CliError> {
    let path = dir.join(format!("mediamill-import-{}", Uuid::now_v7()));
    let file = File::options().read(true).write(true).create_new(true).open(&path)?;
    let mut unpacked = Unpacked { path, file };
    let entry = archive.by_index(index).map_err(unreadable)?;
    io::copy(&mut entry.take(limit_bytes.saturating_add(1)), &mut unpacked.file)?;
    unpacked.file.flush()?;
    unpacked.file.seek(SeekFrom::Start(0))?;
    Ok(unpacked)
}

fn message(sender: Option<&String>, me: &str) -> Message {
    let direction = sender.map(|name| if !me.is_empty() && name == me { "outbound" } else { "inbound" });
    Message {
        channel: Some("whatsapp".to_owned()),
        direction: direction.map(str::to_owned),
        contact_name: sender.filter(|name| *name != me).cloned(),
        ..Message::default()
    }
}

/// Texts of the library name nothing of the archive's content but its form.
fn unreadable(error: zip::result::ZipError) -> CliError {
    CliError::Usage(format!("the archive cannot be read: {error}"))
}
