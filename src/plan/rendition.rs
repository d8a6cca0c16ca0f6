//! Whether people are given something else than the picture that came.

use super::decide::reason_for;
use super::{Container, Facts};
use crate::profile::Profile;
use crate::vocabulary::Reason;

/// What is made of a still picture beside its thumbnail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rendition {
    /// Nothing: the original is shown.
    Nothing,
    /// The same picture without its metadata, bit by bit.
    Strip,
    /// The picture drawn anew.
    Draw,
}

/// The name of an animated WebP in `picture.shown`: programs that show a still one need not show these.
const ANIMATED_WEBP: &str = "webp-animated";

/// What is made of a picture, and why. `size` is what is shown of it; `animated` counts for WebP only.
#[must_use]
pub fn rendition(facts: &Facts, size: (u32, u32), animated: bool, profile: &Profile) -> (Rendition, Option<Reason>) {
    let picture = &profile.picture;
    let name = if animated && facts.container == Container::WebP { ANIMATED_WEBP } else { facts.container.row().name };
    let long = size.0.max(size.1);
    if !picture.rendition {
        return (Rendition::Nothing, None);
    }
    if !picture.shown.iter().any(|shown| shown == name) {
        return draw("container", format!("{name} is not among the profile's picture.shown"));
    }
    if let Some(max_bytes) = profile.max_bytes.filter(|max| facts.size_bytes > *max) {
        return draw("budget", format!("{} bytes, at most {max_bytes}", facts.size_bytes));
    }
    // A GIF moves, and a smaller one that does not is no rendition of it.
    if long > picture.max_side && facts.container != Container::Gif {
        return draw("resolution", format!("{}x{}, at most {} pixels a side", size.0, size.1, picture.max_side));
    }
    let strips = matches!(facts.container, Container::Jpeg | Container::Png | Container::WebP);
    if picture.strip_metadata && strips {
        let detail = "metadata are left out, the picture is kept bit by bit".to_owned();
        return (Rendition::Strip, Some(reason_for(Some(0), "remux", "private-metadata", Some(detail))));
    }
    (Rendition::Nothing, None)
}

fn draw(reason: &str, detail: String) -> (Rendition, Option<Reason>) {
    (Rendition::Draw, Some(reason_for(Some(0), "encode", reason, Some(detail))))
}
