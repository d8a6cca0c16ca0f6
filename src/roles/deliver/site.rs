//! A destination as it is configured, with everything that its deliveries share.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;

use super::amendment::{self, Amendment};
use super::destination::{Destination, Failed, Work};
use super::gate::Gate;
use super::map::{Map, MapError, context};
use super::marker::marker;
use super::subject::{Subject, Word};
use crate::config;
use crate::events::Event;
use crate::links::{Links, role_name};
use crate::vocabulary::Role;

/// A destination.
#[derive(Debug)]
pub struct Site {
    /// Name of its table.
    pub name: String,
    /// Its table.
    pub config: config::Destination,
    /// Who it is.
    pub destination: Arc<dyn Destination>,
    /// What becomes of events there; nothing for destinations without a map.
    pub map: Option<Map>,
    /// Whether it takes events now.
    pub gate: Arc<Gate>,
}

impl Site {
    /// The events that it gets.
    #[must_use]
    pub fn outcomes(&self) -> Vec<Word> {
        let configured: Vec<Word> = self.config.outcomes.iter().filter_map(|word| Word::parse(word)).collect();
        if !configured.is_empty() {
            return configured;
        }
        let usual = || vec![Word::Normalized, Word::Rejected, Word::Erased];
        self.map.as_ref().map_or_else(usual, |map| map.outcomes().to_vec())
    }

    /// The events that it must see: those that it gets, and erased ones, after which nothing of a media may be delivered.
    #[must_use]
    pub fn takes(&self) -> Vec<Word> {
        let mut words = self.outcomes();
        words.push(Word::Erased);
        words.sort_unstable();
        words.dedup();
        words
    }

    /// The name of its queue behind the exchange's.
    #[must_use]
    pub fn queue(&self) -> String {
        format!("deliver.{}", self.name)
    }

    /// Whether an event is for it: by tenant, kind and tags. Erased events have neither kind nor tags.
    #[must_use]
    pub fn wants(&self, subject: &Subject) -> bool {
        let config::Destination { tenants, kinds, tags, .. } = &self.config;
        if !(tenants.is_empty() || tenants.contains(&subject.tenant) || subject.word == Word::Alert) {
            return false;
        }
        if matches!(subject.word, Word::Erased | Word::Alert) {
            return true;
        }
        let kind_ok = kinds.is_empty() || subject.kind.as_ref().is_none_or(|kind| kinds.contains(kind));
        kind_ok && (tags.is_empty() || subject.tags.iter().any(|tag| tags.contains(tag)))
    }

    /// An event with all that is derived from it; nothing where the map does not want it.
    ///
    /// # Errors
    /// [`Failed`] where the map cannot be evaluated.
    pub fn work<'a>(
        &self,
        event: &'a Event,
        subject: &'a Subject,
        links: Option<&Links>,
    ) -> Result<Option<Work<'a>>, Failed> {
        let links = links.map(|links| self.links(event, subject, links)).unwrap_or_default();
        let marker = marker(&subject.event_id);
        let prepared = match &self.map {
            None => None,
            Some(map) => {
                let seen = context(event, subject, &links, &marker);
                let prepared = map.prepare(&seen).map_err(|MapError(text)| Failed::mapping(text))?;
                if prepared.is_none() {
                    return Ok(None);
                }
                prepared
            }
        };
        Ok(Some(Work { event, subject, prepared, links, marker }))
    }

    /// Whether some events add to notes that were written before.
    #[must_use]
    pub fn amends(&self) -> bool {
        self.map.as_ref().is_some_and(Map::amends)
    }

    /// What an event adds to the note of its media; nothing where it is another event, or the map says nothing of it.
    ///
    /// # Errors
    /// [`Failed`] where the map cannot be evaluated.
    pub fn amendment(
        &self,
        event: &Event,
        subject: &Subject,
        links: Option<&Links>,
    ) -> Result<Option<Amendment>, Failed> {
        let (Some(map), Some(word)) = (&self.map, amendment::word(event)) else { return Ok(None) };
        let links = links.map(|links| self.links(event, subject, links)).unwrap_or_default();
        let seen = context(event, subject, &links, &marker(&subject.event_id));
        let text = map.amendment(word, &seen).map_err(|MapError(text)| Failed::mapping(text))?;
        let (event_id, time, is_html) = (subject.event_id.clone(), amendment::time_of(event), map.is_html());
        Ok(text.map(|text| Amendment { word, event_id, time, text, is_html }))
    }

    /// Links to the media's assets by role, and to its page.
    fn links(&self, event: &Event, subject: &Subject, links: &Links) -> BTreeMap<String, String> {
        if subject.media_id.is_empty() || subject.word == Word::Erased {
            return BTreeMap::new();
        }
        let issued_at = subject.time.unwrap_or(Timestamp::UNIX_EPOCH);
        let media = links.media(&subject.tenant, &subject.media_id, &self.name, issued_at);
        let assets = event.data.get("assets").and_then(serde_json::Value::as_array);
        let one = |asset: &serde_json::Value| {
            let role: Role = serde_json::from_value(asset.get("role")?.clone()).ok()?;
            Some((role_name(role).to_owned(), media.object(role, asset.get("key")?.as_str()?)))
        };
        let mut all: BTreeMap<String, String> = assets.into_iter().flatten().filter_map(one).collect();
        if let Some(key) = event.data.pointer("/original/key").and_then(serde_json::Value::as_str) {
            all.insert(role_name(Role::Original).to_owned(), media.object(Role::Original, key));
        }
        all.insert("page".to_owned(), media.page().to_owned());
        all
    }
}
