//! Still pictures, and thumbnails.

use super::Check;
use super::got::Got;

pub const CHECKS: &[(&str, Check)] = &[
    ("avif_alpha.avif", alpha_is_laid_on_white),
    ("avif_irot.avif", avif_is_turned),
    ("black_for_17s.mp4", thumbnail_shows_something),
    ("bmp_topdown.bmp", bmp_from_the_top),
    ("heic_clap.heic", cropped_size),
    ("icc_display_p3.jpg", display_p3),
    ("icc_swapped.jpg", swapped_primaries),
    ("png_cut.png", partial_picture),
    ("tiff_lab.tif", kept_without_a_decoder),
    ("tiff_tiled.tif", tiles_or_no_thumbnail),
];

fn near(seen: [u8; 3], wanted: [u8; 3], allowed: u8) -> bool {
    seen.iter().zip(wanted).all(|(a, b)| a.abs_diff(b) <= allowed)
}

/// The thumbnail's colours at these places against those that are wanted.
fn colors(got: &Got, wanted: &[((f64, f64), [u8; 3])], allowed: u8) -> (bool, String) {
    let Some(thumbnail) = got.thumbnail() else { return (false, "no thumbnail".to_owned()) };
    let seen: Vec<[u8; 3]> = wanted.iter().map(|((x, y), _)| thumbnail.color(*x, *y)).collect();
    let right = seen.iter().zip(wanted).all(|(seen, (_, wanted))| near(*seen, *wanted, allowed));
    (right, format!("thumbnail {}x{} with {seen:?}", thumbnail.width, thumbnail.height))
}

fn alpha_is_laid_on_white(got: &Got) -> Result<String, String> {
    let (right, text) = colors(got, &[((0.25, 0.02), [255, 255, 255]), ((0.75, 0.02), [255, 255, 255])], 40);
    got.verdict(right, &text)
}

fn avif_is_turned(got: &Got) -> Result<String, String> {
    let (right, text) = colors(got, &[((0.25, 0.25), [40, 60, 200]), ((0.75, 0.25), [200, 60, 60])], 90);
    let size = got.size();
    got.verdict(right && size == Some((200, 320)), &format!("{size:?}, {text}"))
}

fn thumbnail_shows_something(got: &Got) -> Result<String, String> {
    let Some(thumbnail) = got.thumbnail() else { return got.verdict(false, "no thumbnail") };
    let places = [0.1, 0.3, 0.5, 0.7, 0.9].map(|at| thumbnail.color(at, at));
    let brightest = places.iter().flatten().max().copied().unwrap_or(0);
    got.verdict(brightest > 60, &format!("thumbnail's brightest {brightest} of 255"))
}

fn bmp_from_the_top(got: &Got) -> Result<String, String> {
    let (right, text) = colors(got, &[((0.25, 0.25), [220, 30, 30]), ((0.75, 0.25), [220, 30, 30])], 40);
    let size = got.size();
    got.verdict(right && size == Some((32, 24)), &format!("{size:?}, {text}"))
}

fn cropped_size(got: &Got) -> Result<String, String> {
    let size = got.size();
    got.verdict(size == Some((29, 100)), &format!("{size:?}"))
}

fn display_p3(got: &Got) -> Result<String, String> {
    let (right, text) = colors(got, &[((0.2, 0.2), [217, 42, 51])], 10);
    got.verdict(right, &text)
}

fn swapped_primaries(got: &Got) -> Result<String, String> {
    let (right, text) = colors(got, &[((0.2, 0.2), [60, 200, 59])], 10);
    got.verdict(right, &text)
}

fn partial_picture(got: &Got) -> Result<String, String> {
    let size = got.size();
    let thumbnail = got.thumbnail().map(|shown| (shown.width, shown.height));
    got.verdict(got.is("image") && size == Some((320, 200)), &format!("{size:?}, thumbnail {thumbnail:?}"))
}

fn kept_without_a_decoder(got: &Got) -> Result<String, String> {
    let kept = got.is("image") && got.action() == "kept-original";
    let thumbnail = got.thumbnail().is_some();
    got.verdict(kept && (thumbnail || got.says("no-decoder")), &format!("thumbnail: {thumbnail}"))
}

fn tiles_or_no_thumbnail(got: &Got) -> Result<String, String> {
    if got.thumbnail().is_none() {
        return got.verdict(got.is("image") && got.says("no-decoder"), "no thumbnail");
    }
    let (right, text) = colors(got, &[((0.5, 0.2), [220, 30, 30]), ((0.5, 0.8), [30, 30, 220])], 70);
    got.verdict(right, &text)
}
