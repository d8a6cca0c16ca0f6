//! Goes through everything that is stored, and removes what is overdue and what nobody names. It needs no database, and takes
//! about as long as a list of all objects and a read of all manifests.
//!
//! | found | becomes of it |
//! |---|---|
//! | a media whose `expires_at` is over, or whose sender was erased, and that nothing holds | erased, with a certificate for each tenant and [`BATCH`] media |
//! | objects beside a tombstone | removed |
//! | objects that no manifest names, a day old or older | removed: what jobs left that did not get to their manifest |

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use uuid::Uuid;

use super::{Conduct, ConductError};
use crate::events::{ErasedBecause, Manifest, ManifestError};
use crate::privacy::{Place, Request, Selector, Sender};
use crate::store::{Listed, MAX_PAGE};

/// Most media of one certificate.
const BATCH: usize = 500;
/// A job has ended by then: what it stored is named by a manifest, or by nobody.
const ORPHAN_AGE: Duration = Duration::from_secs(24 * 3600);

/// What was found and done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Swept {
    /// Media that were looked at.
    pub media: u64,
    /// Media whose time is over, or whose sender was erased.
    pub due: u64,
    /// Of these, media that are held for a case and stay.
    pub held: u64,
    /// Media that were erased.
    pub erased: u64,
    /// Objects beside tombstones.
    pub beside_tombstones: u64,
    /// Objects that no manifest names, and old enough.
    pub orphans: u64,
    /// Manifests that nobody can read.
    pub unreadable: u64,
}

/// Sweeps the whole store. With `dry`, everything is counted and nothing removed.
///
/// # Errors
/// [`ConductError`]; what was done until then is done.
pub async fn sweep(conduct: &Conduct, dry: bool) -> Result<Swept, ConductError> {
    let now = Timestamp::now();
    let mut sweep = Sweep { conduct, dry, now, swept: Swept::default(), due: BTreeMap::new(), marks: BTreeMap::new() };
    let (mut folder, mut objects, mut after) = (String::new(), Vec::new(), None);
    loop {
        let page = conduct.store().list("", after.as_ref(), MAX_PAGE).await?;
        for object in page.objects {
            let Some(of) = media_folder(&object.key) else { continue };
            if of != folder {
                sweep.media(&folder, std::mem::take(&mut objects)).await?;
                folder = of.to_owned();
            }
            objects.push(object);
        }
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    sweep.media(&folder, objects).await?;
    sweep.erase_due().await?;
    Ok(sweep.swept)
}

/// The folder of a media that an object is in, without the slash at its end; nothing where it is in none. Tenants' folders do not
/// begin with a dot. A prefix of the store may have any number of parts: what counts is where the manifest stands.
fn media_folder(key: &str) -> Option<&str> {
    if let Some(folder) = key.strip_suffix("/manifest.json") {
        return Some(folder).filter(|folder| !is_own(folder));
    }
    // <folder>/<32 hex digits>/<object>
    let (addressed, _object) = key.rsplit_once('/')?;
    let (folder, address) = addressed.rsplit_once('/')?;
    let is_address = address.len() == 32 && address.bytes().all(|byte| byte.is_ascii_hexdigit());
    Some(folder).filter(|folder| is_address && !is_own(folder))
}

fn is_own(folder: &str) -> bool {
    folder.split('/').any(|part| part.starts_with('.'))
}

struct Sweep<'a> {
    conduct: &'a Conduct,
    dry: bool,
    now: Timestamp,
    swept: Swept,
    due: BTreeMap<String, BTreeMap<String, Sender>>,
    /// Up to when an erasure covers what somebody sent, by the key of the record: read once a sweep.
    marks: BTreeMap<String, Option<Timestamp>>,
}

impl Sweep<'_> {
    async fn media(&mut self, folder: &str, objects: Vec<Listed>) -> Result<(), ConductError> {
        if objects.is_empty() {
            return Ok(());
        }
        self.swept.media += 1;
        let manifest_key = format!("{folder}/manifest.json");
        let beside: Vec<&Listed> = objects.iter().filter(|object| object.key != manifest_key).collect();
        let Some(bytes) = self.conduct.store().get(&manifest_key).await? else {
            return self.remove_orphans(&beside, &BTreeSet::new()).await;
        };
        match Manifest::read(&bytes) {
            Ok(manifest) => {
                self.remove_orphans(&beside, &manifest.named_keys()).await?;
                self.judge(&manifest).await
            }
            Err(ManifestError::Erased) => {
                self.swept.beside_tombstones += u64::try_from(beside.len()).unwrap_or(u64::MAX);
                if !self.dry && !beside.is_empty() {
                    self.conduct.store().purge(&format!("{folder}/"), Some(&manifest_key)).await?;
                }
                Ok(())
            }
            Err(ManifestError::Damaged | ManifestError::Foreign) => {
                self.swept.unreadable += 1;
                Ok(())
            }
        }
    }

    async fn remove_orphans(&mut self, beside: &[&Listed], named: &BTreeSet<String>) -> Result<(), ConductError> {
        let is_old = |object: &&&Listed| {
            let age = object.modified.and_then(|modified| SystemTime::now().duration_since(modified).ok());
            age.is_some_and(|age| age >= ORPHAN_AGE)
        };
        for orphan in beside.iter().filter(|object| !named.contains(&object.key)).filter(is_old) {
            self.swept.orphans += 1;
            if !self.dry {
                self.conduct.store().delete_all_versions(&orphan.key).await?;
            }
        }
        Ok(())
    }

    /// Notes a media whose time is over.
    async fn judge(&mut self, manifest: &Manifest) -> Result<(), ConductError> {
        let (tenant, media_id) = manifest.media();
        let (sender, sent_at) = self.conduct.scan().sender_of(tenant, manifest);
        let expires_at = manifest.expires_at().and_then(|text| text.parse::<Timestamp>().ok());
        let is_over = expires_at.is_some_and(|expires_at| expires_at <= self.now);
        if !is_over && !self.is_covered(tenant, &sender, sent_at).await? {
            return Ok(());
        }
        self.swept.due += 1;
        if !self.conduct.eraser().held_for(tenant, media_id, &sender).await?.is_empty() {
            self.swept.held += 1;
            return Ok(());
        }
        let batch = self.due.entry(tenant.to_owned()).or_default();
        batch.insert(media_id.to_owned(), sender);
        if batch.len() >= BATCH {
            self.erase_due().await?;
        }
        Ok(())
    }

    /// Whether an erasure of its sender covers a media that is there all the same: a worker of a version before marks stored it.
    async fn is_covered(
        &mut self,
        tenant: &str,
        sender: &Sender,
        sent_at: Option<Timestamp>,
    ) -> Result<bool, ConductError> {
        let records = self.conduct.eraser().records();
        let contacts = sender.contacts().map(Place::Contact);
        for place in contacts.chain(sender.conversation.iter().map(Place::Conversation)) {
            let key = records.key(tenant, place);
            let mark = match self.marks.get(&key) {
                Some(mark) => *mark,
                None => {
                    let mark = records.read(tenant, place).await?.and_then(|record| record.erased).map(|mark| mark.at);
                    self.marks.insert(key, mark);
                    mark
                }
            };
            if mark.is_some_and(|mark| sent_at.is_none_or(|sent_at| sent_at <= mark)) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    async fn erase_due(&mut self) -> Result<(), ConductError> {
        for (tenant, media) in std::mem::take(&mut self.due) {
            if self.dry {
                continue;
            }
            let request = Request {
                number: Uuid::now_v7().to_string(),
                tenant,
                selector: Selector::Due,
                because: ErasedBecause::Retention,
                reason: None,
                erased_at: self.now,
            };
            let Some(mut erasure) = self.conduct.begin(request).await? else { continue };
            self.conduct.eraser().plan_these(&mut erasure, &media, 0).await?;
            let wiped = self.conduct.carry_out(&mut erasure).await?;
            let certificate = self.conduct.certify(erasure, wiped).await?;
            self.swept.erased += certificate.media;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_belong_to_the_media_whose_manifest_stands_above_them() {
        let address = "debc3cd050845b511bfb30b81d233daa";
        for (key, folder) in [
            ("acme/m/manifest.json".to_owned(), Some("acme/m")),
            (format!("acme/m/{address}/audio.mp3"), Some("acme/m")),
            (format!("pre/fix/acme/m/{address}/audio.mp3"), Some("pre/fix/acme/m")),
            (format!(".inbox/m/{address}/x"), None),
            (".catalog/media/acme/m.json".to_owned(), None),
            (".catalog/a/manifest.json".to_owned(), None),
            (".check".to_owned(), None),
            ("acme/notes.txt".to_owned(), None),
            ("somebody/elses/folder/file".to_owned(), None),
        ] {
            assert_eq!(media_folder(&key), folder, "{key}");
        }
    }
}
