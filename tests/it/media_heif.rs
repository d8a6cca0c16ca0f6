//! HEIF and AVIF: items put together, cropped, turned, in their colours.

use std::path::Path;
use std::process::Command;

use mediamill::events::Action;

use crate::support::heif::{self, Piece};
use crate::support::media::{QUARTERS, Shown, ffmpeg, is_color, make, make_limited, make_with, quarters, synthesise};
use crate::support::stills::{CENTRES, assert_near, assert_quarters, facts, picture, rendition};

/// libheif's encoder, an independent writer of such files.
fn heif_enc(input: &Path, output: &Path, options: &[&str]) {
    let made = Command::new("heif-enc").args(options).arg(input).arg("-o").arg(output).output();
    let made = made.unwrap_or_else(|error| panic!("heif-enc (Debian: libheif-examples) is needed: {error}"));
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
}

#[test]
fn a_picture_of_libheif_has_a_thumbnail_and_a_rendition() {
    let dir = tempfile::tempdir().expect("a directory");
    let plain = picture(&dir, "plain.png", "");
    for (name, options) in [("a.heic", &[][..]), ("a.avif", &["-A"])] {
        let path = dir.path().join(name);
        heif_enc(&plain, &path, options);
        let made = make(&path);
        assert_eq!(facts(&made), (320, 240, None), "{name}");
        assert!(made.says("encode", "container"), "{:?}", made.report.reasons);
        assert_quarters(&Shown::of(&made.thumbnail(), 0.0), name);
        assert_quarters(&rendition(&made, "picture.jpg").0, name);
    }
}

#[test]
fn what_can_be_seen_through_stays_so_in_a_png_and_lies_on_white_in_a_thumbnail() {
    let dir = tempfile::tempdir().expect("a directory");
    // Opaque on the left, gone on the right.
    let alpha = ",format=rgba,geq=r='r(X,Y)':g='g(X,Y)':b='b(X,Y)':a='if(lt(X,160),255,0)'";
    let seen = synthesise(&dir, "seen.png", &format!("{}{alpha} -frames:v 1", quarters(320, 240, 1, 1)));
    let heic = dir.path().join("a.heic");
    heif_enc(&seen, &heic, &[]);
    let avif = dir.path().join("b.avif");
    let encode = |source: &str, options: &str| Piece::encode(&dir, "libaom-av1", source, (320, 240), options);
    let color = encode(&quarters(320, 240, 1, 1), "-pix_fmt yuv420p -color_range pc");
    let half = "-f lavfi -i color=white:s=320x240,format=gray,geq=lum='if(lt(X,160),255,0)'";
    let opacity = encode(half, "-pix_fmt gray -color_range pc");
    let mut auxiliary = opacity.item(&[heif::alpha()]);
    auxiliary.references.push((*b"auxl", vec![1]));
    heif::write(&avif, b"avif", &[color.item(&[heif::colours(1, 13, 6)]), auxiliary], 1);
    for path in [heic, avif] {
        let made = make(&path);
        let what = path.display().to_string();
        let shown = Shown::of(&made.thumbnail(), 0.0);
        assert!(is_color(shown.color(0.25, 0.25), QUARTERS[0]), "{what}");
        assert_near(shown.color(0.75, 0.25), [255, 255, 255], 3, &what);
        let (_, png) = rendition(&made, "picture.png");
        let plane = ffmpeg("-i {} -vf alphaextract -f rawvideo -pix_fmt gray -", &png).stdout;
        assert!(plane[120 * 320 + 80] > 250 && plane[120 * 320 + 240] < 5, "{what}");
        let made = make_with(&path, |profile| profile.picture.format = "jpeg".to_owned());
        assert_near(rendition(&made, "picture.jpg").0.color(0.75, 0.25), [255, 255, 255], 3, &what);
    }
}

#[test]
fn pictures_are_turned_and_mirrored_as_their_items_say() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("a.heif");
    // Which quarter is seen top left, top right, bottom left, bottom right.
    let cases = [
        (vec![heif::rotation(1)], [1, 3, 0, 2]),
        (vec![heif::rotation(2)], [3, 2, 1, 0]),
        (vec![heif::rotation(3)], [2, 0, 3, 1]),
        (vec![heif::mirror(0)], [2, 3, 0, 1]),
        (vec![heif::mirror(1)], [1, 0, 3, 2]),
        (vec![heif::rotation(1), heif::mirror(0)], [0, 2, 1, 3]),
        (vec![heif::rotation(1), heif::mirror(1)], [3, 1, 2, 0]),
    ];
    for (encoder, brand, options) in [("libx265", b"heic", ""), ("libaom-av1", b"avif", "-pix_fmt yuv420p")] {
        let piece = Piece::encode(&dir, encoder, &quarters(320, 240, 1, 1), (320, 240), options);
        for (properties, order) in &cases {
            heif::write(&path, brand, &[piece.item(properties)], 1);
            let made = make(&path);
            let what = format!("{encoder} {properties:?}");
            // An odd number of quarter turns.
            let turned = properties.iter().any(|property| &property[4..8] == b"irot" && property[8] % 2 == 1);
            assert_eq!(facts(&made), if turned { (240, 320, None) } else { (320, 240, None) }, "{what}");
            for shown in [Shown::of(&made.thumbnail(), 0.0), rendition(&made, "picture.jpg").0] {
                for ((x, y), quarter) in CENTRES.into_iter().zip(order) {
                    let seen = shown.color(x, y);
                    assert!(is_color(seen, QUARTERS[*quarter]), "{what}: {seen:?} at {x}, {y}");
                }
            }
        }
    }
}

#[test]
fn a_grid_is_put_together_cropped_and_turned() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("a.heic");
    let tiles: Vec<Piece> = ["red", "lime", "blue", "white"]
        .map(|color| {
            let source = format!("-f lavfi -i color={color}:s=128x128");
            Piece::encode(&dir, "libx265", &source, (128, 128), "-pix_fmt yuv420p -color_range tv -colorspace bt470bg")
        })
        .into();
    let mut items: Vec<heif::Item> = tiles.iter().map(|tile| tile.item(&[])).collect();
    items.push(heif::grid(2, 2, (200, 220), vec![1, 2, 3, 4], &[]));
    heif::write(&path, b"heic", &items, 5);
    let corners = [[254, 0, 0], [0, 255, 0], [0, 0, 254], [255, 255, 255]];
    let made = make(&path);
    assert_eq!(facts(&made), (200, 220, None));
    let shown = rendition(&made, "picture.jpg").0;
    for ((x, y), wanted) in CENTRES.into_iter().zip(corners) {
        assert_near(shown.color(x, y), wanted, 12, "whole");
    }

    // Above the limit it is put together of smaller tiles.
    let small = make_limited(&path, |limits| limits.pixels = 128 * 128);
    assert_eq!(facts(&small), (200, 220, None));
    assert_near(Shown::of(&small.thumbnail(), 0.0).color(0.25, 0.75), corners[2], 12, "smaller");

    // The middle 100 x 60 of it, then on its side.
    items[4] =
        heif::grid(2, 2, (200, 220), vec![1, 2, 3, 4], &[heif::clean_aperture(100, 60, 56, 36), heif::rotation(3)]);
    heif::write(&path, b"heic", &items, 5);
    let made = make(&path);
    assert_eq!(facts(&made), (60, 100, None));
    let shown = rendition(&made, "picture.jpg").0;
    for ((x, y), corner) in [(0.1, 0.1), (0.9, 0.1), (0.1, 0.9), (0.9, 0.9)].into_iter().zip([2, 0, 3, 1]) {
        assert_near(shown.color(x, y), corners[corner], 12, "cropped and turned");
    }
}

#[test]
fn the_primary_item_is_the_picture_and_a_crop_is_its_size() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("a.heic");
    let large = Piece::encode(&dir, "libx265", "-f lavfi -i color=gray:s=640x480", (640, 480), "");
    let piece = Piece::encode(&dir, "libx265", &quarters(320, 240, 1, 1), (320, 240), "");
    // Odd sizes are why encoders crop: 301 x 201 from the top left.
    let crop = heif::clean_aperture(301, 201, -19, -39);
    heif::write(&path, b"heic", &[large.item(&[]), piece.item(&[crop])], 2);
    let made = make(&path);
    assert_eq!(facts(&made), (301, 201, None));
    assert_quarters(&rendition(&made, "picture.jpg").0, "cropped");
}

#[test]
fn a_heif_whose_boxes_lie_is_kept_and_ends_no_child() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("a.heic");
    let piece = Piece::encode(&dir, "libx265", &quarters(320, 240, 1, 1), (320, 240), "");
    let tile = |n: u16| heif::grid(1, 1, (320, 240), vec![n], &[]);
    // A grid of itself, of another grid, of nothing, of more tiles than there are; a picture of another codec's type.
    let mut other = piece.item(&[]);
    other.kind = *b"j2k1";
    for (what, items) in [
        ("of itself", vec![tile(1)]),
        ("of a grid", vec![tile(2), tile(1)]),
        ("of nothing", vec![tile(9)]),
        ("too few", vec![heif::grid(4, 4, (320, 240), vec![2], &[]), piece.item(&[])]),
        ("too large", vec![heif::grid(2, 1, (60_000, 60_000), vec![2, 2], &[]), piece.item(&[])]),
        ("unknown", vec![other]),
    ] {
        heif::write(&path, b"heic", &items, 1);
        let made = make(&path);
        assert_eq!(made.report.action, Action::KeptOriginal, "{what}");
        assert!(made.report.produced.is_empty(), "{what}: {:?}", made.report.produced);
    }
}
