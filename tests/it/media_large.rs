//! Pictures above `limits.pixels`: reduced while they are decoded. Pictures on a canvas, and pictures with a palette.

use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::support::heif::{self, Piece};
use crate::support::media::{Made, Shown, make, make_limited, quarters, synthesise};
use crate::support::stills::{assert_near, assert_quarters, facts, picture, rendition};
use crate::support::tiff::{self, tiff};

/// An eighth of the pixels of these tests' pictures.
const LIMIT: u64 = 320 * 240 / 8;

fn reduced(path: &Path) -> Made {
    make_limited(path, |limits| limits.pixels = LIMIT)
}

#[test]
fn png_webp_tiff_and_bmp_of_any_size_have_a_thumbnail_and_their_true_size() {
    let dir = tempfile::tempdir().expect("a directory");
    for (name, options) in [
        ("rgb.png", "-pix_fmt rgb24"),
        ("interlaced.png", "-pix_fmt rgb24 -flags +ildct"),
        ("sixteen.png", "-pix_fmt rgba64be"),
        ("palette.png", "-pix_fmt pal8"),
        ("lossy.webp", "-c:v libwebp -quality 90"),
        ("lossless.webp", "-c:v libwebp -lossless 1 -pix_fmt bgra"),
        ("raw.tif", "-compression_algo raw"),
        ("lzw.tif", "-compression_algo lzw"),
        ("deflate.tif", "-compression_algo deflate -pix_fmt rgba"),
        ("packbits.tif", "-compression_algo packbits -pix_fmt rgb48le"),
        ("palette.tif", "-pix_fmt pal8"),
        ("rgb.bmp", "-pix_fmt bgr24"),
    ] {
        let made = reduced(&picture(&dir, name, options));
        assert_eq!(facts(&made), (320, 240, None), "{name}");
        let thumbnail = Shown::of(&made.thumbnail(), 0.0);
        assert_eq!((thumbnail.width, thumbnail.height), (320, 240), "{name}");
        assert_quarters(&thumbnail, name);
        assert_eq!(made.report.damage, None, "{name}");
    }
    let grey = reduced(&picture(&dir, "grey.png", "-pix_fmt gray"));
    assert_near(Shown::of(&grey.thumbnail(), 0.0).color(0.75, 0.75), [196, 196, 196], 8, "grey");
}

#[test]
fn a_reduced_picture_that_breaks_off_is_shown_as_far_as_it_goes() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = picture(&dir, "a.png", "-vf noise=alls=20");
    let bytes = std::fs::read(&path).expect("a picture");
    std::fs::write(&path, &bytes[..bytes.len() * 7 / 10]).expect("cut");
    let made = reduced(&path);
    assert!(made.report.damage.is_some_and(|damage| damage.truncated));
    let thumbnail = Shown::of(&made.thumbnail(), 0.0);
    assert_near(thumbnail.color(0.25, 0.25), [220, 30, 30], 30, "upper half");
    assert_near(thumbnail.color(0.25, 0.95), [0, 0, 0], 6, "what is missing");
    // Nothing behind the header is no picture.
    std::fs::write(&path, &bytes[..60]).expect("cut");
    assert!(reduced(&path).says("keep", "undecodable"));
}

#[test]
fn what_can_be_seen_through_stays_so_when_it_is_reduced() {
    let dir = tempfile::tempdir().expect("a directory");
    // Opaque on the left, gone on the right, where the colour must not shine through.
    let alpha = "-vf format=rgba,geq=r='r(X,Y)':g='g(X,Y)':b='b(X,Y)':a='if(lt(X,160),255,0)'";
    for (name, options) in [("a.png", ""), ("b.webp", "-c:v libwebp -lossless 1")] {
        let made = reduced(&picture(&dir, name, &format!("{alpha} {options}")));
        let thumbnail = Shown::of(&made.thumbnail(), 0.0);
        assert_near(thumbnail.color(0.25, 0.25), [220, 30, 30], 8, name);
        assert_near(thumbnail.color(0.75, 0.25), [255, 255, 255], 3, name);
    }
}

#[test]
fn eighty_megapixels_of_png_are_no_reason_to_do_without_a_thumbnail() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = synthesise(&dir, "a.png", &format!("{} -frames:v 1 -pix_fmt rgb24", quarters(10_000, 8000, 1, 1)));
    let made = make(&path);
    assert_eq!(facts(&made), (10_000, 8000, None));
    let shown = rendition(&made, "picture.jpg").0;
    assert_eq!((shown.width, shown.height), (4096, 3277));
    assert_quarters(&shown, "rendition");
    assert_quarters(&Shown::of(&made.thumbnail(), 0.0), "thumbnail");
}

#[test]
fn a_palette_in_tiles_is_shown() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("palette.tif");
    // Red, blue and green, in this order; the rest of 16 or 256 colours is black.
    for bits in [4_usize, 8] {
        let colors = 1 << bits;
        let mut map = vec![0_u16; colors * 3];
        (map[0], map[colors * 2 + 1], map[colors + 2]) = (0xdcdc, 0xdcdc, 0xdcdc);
        let map: Vec<u8> = map.iter().flat_map(|value| value.to_le_bytes()).collect();
        // Four tiles of 64 x 64 of a picture of 100 x 100: red and blue above, green and blue below.
        let row = |index: u8| if bits == 8 { vec![index; 64] } else { vec![index << 4 | index; 32] };
        let tiles: Vec<u8> = [0, 1, 2, 1].into_iter().flat_map(|index| row(index).repeat(64)).collect();
        let (start, size) = (tiff::DATA + map.len(), tiles.len() / 4);
        let tables = start + tiles.len();
        let places: Vec<u8> = (0..4).flat_map(|n| tiff::number(start + n * size).to_le_bytes()).collect();
        let sizes: Vec<u8> = (0..4).flat_map(|_| tiff::number(size).to_le_bytes()).collect();
        let entries = [
            (256, 4, 1, 100),
            (257, 4, 1, 100),
            (258, 3, 1, tiff::number(bits)),
            (259, 3, 1, 1),
            (262, 3, 1, 3),
            (277, 3, 1, 1),
            (284, 3, 1, 1),
            (320, 3, tiff::number(colors * 3), tiff::number(tiff::DATA)),
            (322, 4, 1, 64),
            (323, 4, 1, 64),
            (324, 4, 4, tiff::number(tables)),
            (325, 4, 4, tiff::number(tables + places.len())),
        ];
        std::fs::write(&path, tiff(&entries, &[map, tiles, places, sizes].concat())).expect("written");
        for made in [make(&path), make_limited(&path, |limits| limits.pixels = 50 * 50)] {
            assert_eq!(facts(&made), (100, 100, None), "{bits} bits");
            let shown = rendition(&made, "picture.jpg").0;
            let wanted = [[220, 0, 0], [0, 0, 220], [0, 220, 0], [0, 0, 220]];
            for ((x, y), wanted) in [(0.2, 0.2), (0.9, 0.2), (0.2, 0.9), (0.9, 0.9)].into_iter().zip(wanted) {
                assert_near(shown.color(x, y), wanted, 12, &format!("{bits} bits at {x}, {y}"));
            }
        }
    }
}

fn plain(dir: &TempDir, color: &str, size: (u32, u32)) -> Piece {
    let source = format!("-f lavfi -i color={color}:s={}x{}", size.0, size.1);
    Piece::encode(dir, "libx265", &source, size, "-pix_fmt yuv420p -color_range tv -colorspace bt470bg")
}

/// Red, and lime of which the right half is half transparent, on a canvas of this colour.
fn overlay(dir: &TempDir, fill: [u16; 4], properties: &[Vec<u8>]) -> PathBuf {
    let path = dir.path().join("overlay.heic");
    let half = "-f lavfi -i color=white:s=64x64,format=gray,geq=lum='if(lt(X,32),255,128)'";
    let opacity = Piece::encode(dir, "libx265", half, (64, 64), "-pix_fmt gray -color_range pc");
    let mut auxiliary = opacity.item(&[heif::alpha()]);
    auxiliary.references.push((*b"auxl", vec![2]));
    let items = [
        plain(dir, "red", (128, 64)).item(&[]),
        plain(dir, "lime", (64, 64)).item(&[]),
        auxiliary,
        heif::overlay(fill, (200, 100), &[(1, (-28, 0)), (2, (68, 36))], properties),
    ];
    heif::write(&path, b"heic", &items, 4);
    path
}

#[test]
fn pictures_of_an_overlay_lie_on_its_canvas() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = overlay(&dir, [0, 0, 0xffff, 0xffff], &[]);
    for (what, made) in [("whole", make(&path)), ("reduced", make_limited(&path, |limits| limits.pixels = 128 * 64))] {
        assert_eq!(facts(&made), (200, 100, None), "{what}");
        let shown = rendition(&made, "picture.jpg").0;
        for ((x, y), wanted) in [
            // Red reaches from -28 to 100, and down to 64.
            ((0.02, 0.2), [254, 0, 0]),
            ((0.3, 0.2), [254, 0, 0]),
            ((0.6, 0.2), [0, 0, 255]),
            ((0.1, 0.8), [0, 0, 255]),
            // Lime is above red from (68, 36) on; from 100 on it is half transparent.
            ((0.42, 0.5), [0, 255, 0]),
            ((0.58, 0.8), [0, 128, 127]),
            ((0.9, 0.9), [0, 0, 255]),
        ] {
            assert_near(shown.color(x, y), wanted, 16, &format!("{what} at {x}, {y}"));
        }
    }
}

#[test]
fn a_canvas_may_be_transparent_cropped_and_turned() {
    let dir = tempfile::tempdir().expect("a directory");
    let made = make(&overlay(&dir, [0; 4], &[]));
    let png = rendition(&made, "picture.png").1;
    let plane = crate::support::media::ffmpeg("-i {} -vf alphaextract -f rawvideo -pix_fmt gray -", &png).stdout;
    assert!(plane[20 * 200 + 20] > 250 && plane[90 * 200 + 20] < 5, "red is opaque, the canvas is not");
    assert!(plane[80 * 200 + 120].abs_diff(128) < 12, "lime is half transparent: {}", plane[80 * 200 + 120]);
    // Its left half, on its side.
    let made =
        make(&overlay(&dir, [0, 0, 0xffff, 0xffff], &[heif::clean_aperture(100, 100, -100, 0), heif::rotation(3)]));
    assert_eq!(facts(&made), (100, 100, None));
    let shown = rendition(&made, "picture.jpg").0;
    assert_near(shown.color(0.8, 0.2), [254, 0, 0], 16, "the upper left corner is now upper right");
    assert_near(shown.color(0.2, 0.2), [0, 0, 255], 16, "the lower left corner is now upper left");
}

/// The layers of an overlay may be overlays, but not without end.
#[test]
fn an_overlay_of_itself_is_kept() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("itself.heic");
    let items = [plain(&dir, "red", (64, 64)).item(&[]), heif::overlay([0; 4], (64, 64), &[(2, (0, 0))], &[])];
    heif::write(&path, b"heic", &items, 2);
    let made = make(&path);
    assert!(made.says("keep", "no-decoder") || made.says("keep", "undecodable"), "{:?}", made.report.reasons);
    assert!(made.report.produced.is_empty());
}
