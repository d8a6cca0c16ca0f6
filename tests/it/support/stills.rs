//! What tests of still pictures look at: colours, sizes, renditions.

use std::path::PathBuf;

use mediamill::events::{Action, Kind, Role, StreamDetail};
use tempfile::TempDir;

use super::heif::{self, Piece};
use super::media::{Made, QUARTERS, Shown, is_color, quarters, synthesise};

/// Centres of the four quarters.
pub const CENTRES: [(f64, f64); 4] = [(0.25, 0.25), (0.75, 0.25), (0.25, 0.75), (0.75, 0.75)];

/// Asserts that the four quarters are where they were.
#[track_caller]
pub fn assert_quarters(shown: &Shown, what: &str) {
    for ((x, y), wanted) in CENTRES.into_iter().zip(QUARTERS) {
        let seen = shown.color(x, y);
        assert!(is_color(seen, wanted), "{what}: {seen:?} instead of {wanted:?} at {x}, {y}");
    }
}

/// Asserts that no channel is further away than `most`.
#[track_caller]
pub fn assert_near(seen: [u8; 3], wanted: [u8; 3], most: u8, what: &str) {
    let off = seen.iter().zip(wanted).map(|(a, b)| a.abs_diff(b)).max();
    assert!(off <= Some(most), "{what}: {seen:?} instead of {wanted:?}");
}

/// Size as displayed, and how many frames the event says.
#[track_caller]
pub fn facts(made: &Made) -> (u32, u32, Option<u32>) {
    assert_eq!((made.report.kind, made.report.action), (Kind::Image, Action::KeptOriginal));
    match made.report.streams.first().map(|stream| &stream.detail) {
        Some(StreamDetail::Video { width, height, frames, .. }) => (*width, *height, *frames),
        other => panic!("no picture: {other:?}"),
    }
}

/// The rendition, which has to be this object.
#[track_caller]
pub fn rendition(made: &Made, object: &str) -> (Shown, PathBuf) {
    let (asset, path) = made.asset(Role::Rendition);
    assert_eq!(asset.object, object);
    let shown = Shown::of(&path, 0.0);
    let size = (u32::try_from(shown.width).expect("small"), u32::try_from(shown.height).expect("small"));
    assert_eq!((asset.width, asset.height), (Some(size.0), Some(size.1)));
    (shown, path)
}

/// Four quarters of 320 x 240 in a format by its name.
pub fn picture(dir: &TempDir, name: &str, options: &str) -> PathBuf {
    synthesise(dir, name, &format!("{} -frames:v 1 {options}", quarters(320, 240, 1, 1)))
}

/// A picture of each kind that has a reader of its own: HEIC and AVIF of tiles, turned, cropped, with opacity and colours; an
/// overlay in HEIC; TIFF, BMP, WebP, PNG and a JPEG.
pub fn seeds(dir: &TempDir) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> = [
        ("seed.tif", "-compression_algo lzw -pix_fmt rgb24"),
        ("seed-palette.tif", "-pix_fmt pal8"),
        ("seed.bmp", "-pix_fmt bgr24"),
        ("seed-interlaced.png", "-pix_fmt rgb24 -flags +ildct"),
        ("seed-lossy.webp", "-c:v libwebp"),
        ("seed-16.png", "-pix_fmt rgba64be"),
        ("seed-422.jpg", "-pix_fmt yuvj422p"),
    ]
    .into_iter()
    .map(|(name, options)| synthesise(dir, name, &format!("{} -frames:v 1 {options}", quarters(96, 64, 1, 1))))
    .collect();
    let moving = "-f lavfi -i testsrc2=s=96x64:r=5:d=1,format=rgba -c:v libwebp_anim -lossless 1";
    paths.push(synthesise(dir, "seed.webp", moving));
    for (name, brand, encoder) in [("seed.heic", b"heic", "libx265"), ("seed.avif", b"avif", "libaom-av1")] {
        let tile = Piece::encode(dir, encoder, &quarters(64, 64, 1, 1), (64, 64), "-pix_fmt yuv420p");
        let shown = [heif::colours(12, 13, 6), heif::clean_aperture(100, 60, 0, 0), heif::rotation(1), heif::mirror(1)];
        let mut opacity = heif::grid(2, 1, (120, 64), vec![1, 2], &[heif::alpha()]);
        opacity.references.push((*b"auxl", vec![3]));
        let whole = heif::grid(2, 1, (120, 64), vec![1, 2], &shown);
        let path = dir.path().join(name);
        heif::write(&path, brand, &[tile.item(&[]), tile.item(&[]), whole, opacity], 3);
        paths.push(path);
        if brand == b"heic" {
            let overlay = heif::overlay([0; 4], (96, 64), &[(1, (-8, 4)), (2, (40, -4))], &[heif::rotation(2)]);
            let path = dir.path().join("seed-overlay.heic");
            heif::write(&path, brand, &[tile.item(&[]), tile.item(&[]), overlay], 3);
            paths.push(path);
        }
    }
    paths
}
