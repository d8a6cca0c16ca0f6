//! Decides whether a still picture needs a rendition.

use super::decide::reason_for;
use super::{Container, Facts};
use crate::profile::Profile;
use crate::vocabulary::Reason;

/// What is produced from a still picture in addition to its thumbnail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rendition {
    /// Nothing: the original is shown.
    Nothing,
    /// The same picture without its metadata, otherwise byte for byte.
    Strip,
    /// The picture encoded again.
    Draw,
}

/// The name of an animated WebP in `picture.shown`. Programs that show still WebP do not all show animated ones.
const ANIMATED_WEBP: &str = "webp-animated";

/// Which rendition a picture needs, and why. `size` is the size of its shown part; `animated` matters only for WebP.
#[must_use]
pub fn rendition(facts: &Facts, size: (u32, u32), animated: bool, profile: &Profile) -> (Rendition, Option<Reason>) {
    let picture = &profile.picture;
    let name = if animated && facts.container == Container::WebP { ANIMATED_WEBP } else { facts.container.row().name };
    let long = size.0.max(size.1);
    if !picture.rendition {
        return (Rendition::Nothing, None);
    }
    if !picture.shown.iter().any(|shown| shown == name) {
        return draw("container", format!("{name} is not listed in the profile's picture.shown"));
    }
    if let Some(max_bytes) = profile.max_bytes.filter(|max| facts.size_bytes > *max) {
        return draw("budget", format!("{} bytes, at most {max_bytes}", facts.size_bytes));
    }
    // A smaller still picture would be no rendition of an animated GIF.
    if long > picture.max_side && facts.container != Container::Gif {
        return draw("resolution", format!("{}x{}, at most {} pixels a side", size.0, size.1, picture.max_side));
    }
    let strips = matches!(facts.container, Container::Jpeg | Container::Png | Container::WebP);
    if picture.strip_metadata && strips {
        let detail = "metadata are removed, the picture is kept byte for byte".to_owned();
        return (Rendition::Strip, Some(reason_for(Some(0), "remux", "private-metadata", Some(detail))));
    }
    (Rendition::Nothing, None)
}

fn draw(reason: &str, detail: String) -> (Rendition, Option<Reason>) {
    (Rendition::Draw, Some(reason_for(Some(0), "encode", reason, Some(detail))))
}
