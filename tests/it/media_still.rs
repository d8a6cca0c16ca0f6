//! Still pictures of every other kind: what the thumbnail and the rendition show, and what the event says of them.

use mediamill::events::Role;
use moxcms::ColorProfile;

use crate::support::heif::{self, Piece};
use crate::support::media::{QUARTERS, Shown, is_color, make, make_limited, make_with, quarters, stream, synthesise};
use crate::support::stills::{assert_near, assert_quarters, facts, picture, rendition};
use crate::support::tiff::{self, tiff};

#[test]
fn the_first_frame_of_an_animated_webp_is_shown_and_its_length_told() {
    let dir = tempfile::tempdir().expect("a directory");
    let moving = "-f lavfi -i color=red:s=160x120:r=5:d=1,format=rgba -f lavfi -i color=blue:s=160x120:r=5:d=1,format=rgba \
                  -filter_complex concat=n=2:v=1 -c:v libwebp_anim -lossless 1 -loop 0";
    let made = make(&synthesise(&dir, "a.webp", moving));
    assert_eq!(facts(&made), (160, 120, Some(2)));
    assert_eq!(made.report.duration_ms, Some(2000));
    assert_near(Shown::of(&made.thumbnail(), 0.0).color(0.5, 0.5), [254, 0, 0], 4, "thumbnail");
    assert_near(rendition(&made, "picture.jpg").0.color(0.5, 0.5), [254, 0, 0], 4, "rendition");
    assert!(made.says("encode", "container"));
    let still = make(&picture(&dir, "still.webp", "-c:v libwebp"));
    assert!(still.report.produced.iter().all(|made| made.role == Role::Thumbnail));
}

/// A JPEG with an ICC profile in front of the rest (ICC.1, B.4).
fn with_icc(jpeg: &[u8], profile: &[u8]) -> Vec<u8> {
    let body = [&b"ICC_PROFILE\0\x01\x01"[..], profile].concat();
    let length = u16::try_from(body.len() + 2).expect("a short profile");
    [&jpeg[..2], b"\xff\xe2", &length.to_be_bytes(), &body, &jpeg[2..]].concat()
}

#[test]
fn colours_of_an_icc_profile_become_srgb() {
    let dir = tempfile::tempdir().expect("a directory");
    let display_p3 = ColorProfile::new_display_p3().encode().expect("a profile");
    let source = "-f lavfi -i color=0xca3b3d:s=64x64,format=yuvj444p -frames:v 1 -q:v 2";
    let plain = std::fs::read(synthesise(&dir, "a.jpg", source)).expect("a picture");
    let jpeg = dir.path().join("p3.jpg");
    std::fs::write(&jpeg, with_icc(&plain, &display_p3)).expect("written");
    // As Chromium shows it.
    assert_near(Shown::of(&make(&jpeg).thumbnail(), 0.0).color(0.5, 0.5), [217, 42, 51], 3, "JPEG");

    let piece = "-f lavfi -i color=0xca3b3d:s=64x64,scale=out_color_matrix=bt601:out_range=pc,format=yuvj444p";
    let piece = Piece::encode(&dir, "libx265", piece, (64, 64), "-color_range pc -colorspace smpte170m");
    let heic = dir.path().join("p3.heic");
    heif::write(&heic, b"heic", &[piece.item(&[heif::icc(&display_p3)])], 1);
    assert_near(rendition(&make(&heic), "picture.jpg").0.color(0.5, 0.5), [217, 42, 51], 4, "HEIC");
    heif::write(&heic, b"heic", &[piece.item(&[heif::colours(12, 13, 6)])], 1);
    assert_near(rendition(&make(&heic), "picture.jpg").0.color(0.5, 0.5), [217, 42, 51], 4, "HEIC by numbers");
}

#[test]
fn tiles_and_jpeg_in_a_tiff_are_shown() {
    let dir = tempfile::tempdir().expect("a directory");
    let start = tiff::number(tiff::DATA);
    let base = |photometric: u32, compression: u32, side: u32| {
        vec![
            (256, 4, 1, side),
            (257, 4, 1, side),
            (258, 3, 1, 8),
            (259, 3, 1, compression),
            (262, 3, 1, photometric),
            (277, 3, 1, 3),
        ]
    };
    // One tile of 64 x 64, upper half red, lower half blue, of a picture of 48 x 48.
    let pixels: Vec<u8> = (0..64).flat_map(|y| if y < 24 { [220, 30, 30] } else { [30, 30, 220] }.repeat(64)).collect();
    let length = u32::try_from(pixels.len()).expect("small");
    let mut tiled = base(2, 1, 48);
    tiled.extend([(284, 3, 1, 1), (322, 4, 1, 64), (323, 4, 1, 64), (324, 4, 1, start), (325, 4, 1, length)]);
    let path = dir.path().join("tiled.tif");
    std::fs::write(&path, tiff(&tiled, &pixels)).expect("written");
    let made = make(&path);
    assert_eq!(facts(&made), (48, 48, None));
    let shown = rendition(&made, "picture.jpg").0;
    assert_near(shown.color(0.5, 0.25), [220, 30, 30], 6, "tiled");
    assert_near(shown.color(0.5, 0.75), [30, 30, 220], 6, "tiled");

    let jpeg = std::fs::read(picture(&dir, "a.jpg", "-q:v 2 -pix_fmt yuvj420p -s 240x240")).expect("a picture");
    let length = u32::try_from(jpeg.len()).expect("small");
    let mut strips = base(6, 7, 240);
    strips.extend([(273, 4, 1, start), (278, 4, 1, 240), (279, 4, 1, length), (284, 3, 1, 1)]);
    std::fs::write(&path, tiff(&strips, &jpeg)).expect("written");
    assert_quarters(&Shown::of(&make(&path).thumbnail(), 0.0), "JPEG in TIFF");
}

#[test]
fn the_usual_tiff_are_shown() {
    let dir = tempfile::tempdir().expect("a directory");
    for (name, options) in [
        ("raw.tif", "-compression_algo raw"),
        ("lzw.tif", "-compression_algo lzw"),
        ("deflate.tif", "-compression_algo deflate"),
        ("packbits.tif", "-compression_algo packbits -pix_fmt rgb48le"),
        ("palette.tif", "-pix_fmt pal8"),
        ("subsampled.tif", "-pix_fmt yuv420p"),
    ] {
        let made = make(&picture(&dir, name, options));
        assert_eq!(facts(&made), (320, 240, None), "{name}");
        assert_quarters(&rendition(&made, "picture.jpg").0, name);
    }
}

#[test]
fn a_bmp_from_the_top_and_one_of_os_2_have_their_size() {
    let dir = tempfile::tempdir().expect("a directory");
    let bottom_up = std::fs::read(picture(&dir, "a.bmp", "-pix_fmt bgr24")).expect("a picture");
    let pixels = &bottom_up[bottom_up.len() - 320 * 240 * 3..];
    let top_down: Vec<u8> = pixels.chunks(320 * 3).rev().flatten().copied().collect();
    let header = |size: usize, information: &[u8]| {
        let whole = u32::try_from(size).expect("small").to_le_bytes();
        let offset = u32::try_from(14 + information.len()).expect("small").to_le_bytes();
        [&b"BM"[..], &whole, &[0; 4], &offset, information].concat()
    };
    let numbers = |numbers: &[i32]| numbers.iter().flat_map(|number| number.to_le_bytes()).collect::<Vec<u8>>();
    let windows = [numbers(&[40, 320, -240]), vec![1, 0, 24, 0], vec![0; 24]].concat();
    let os_2 = [&numbers(&[12])[..], &320_u16.to_le_bytes(), &240_u16.to_le_bytes(), &[1, 0, 24, 0]].concat();
    let path = dir.path().join("b.bmp");
    for (information, rows, what) in [(windows, &top_down[..], "from the top"), (os_2, pixels, "OS/2")] {
        let start = header(14 + information.len() + rows.len(), &information);
        std::fs::write(&path, [&start, rows].concat()).expect("written");
        let made = make(&path);
        assert_eq!(facts(&made), (320, 240, None), "{what}");
        assert_quarters(&rendition(&made, "picture.jpg").0, what);
    }
}

#[test]
fn a_photo_above_the_limit_is_made_smaller_while_it_is_decoded() {
    let dir = tempfile::tempdir().expect("a directory");
    let source = format!("{},scale=1003:757", quarters(1004, 760, 1, 1));
    let jpeg = synthesise(&dir, "a.jpg", &format!("{source} -frames:v 1 -q:v 2 -pix_fmt yuvj420p"));
    for limit in [1003 * 757, 1003 * 757 / 2, 1003 * 757 / 5, 1003 * 757 / 20] {
        let made = make_limited(&jpeg, |limits| limits.pixels = limit);
        assert_eq!(facts(&made), (1003, 757, None), "{limit}");
        let thumbnail = Shown::of(&made.thumbnail(), 0.0);
        assert_eq!((thumbnail.width, thumbnail.height), (640, 483), "{limit}");
        assert_quarters(&thumbnail, &limit.to_string());
    }
    // Not even the smallest is small enough: kept, and said.
    let made = make_limited(&jpeg, |limits| limits.pixels = 64 * 64);
    assert!(made.says("keep", "limit-pixels") && made.report.produced.is_empty());
}

#[test]
fn a_photo_of_108_megapixels_has_a_thumbnail_and_a_rendition_within_the_defaults() {
    let dir = tempfile::tempdir().expect("a directory");
    let source = "-f lavfi -i color=0x30a0d0:s=12000x9000:r=1:d=1 -frames:v 1 -q:v 10 -pix_fmt yuvj420p";
    let made = make(&synthesise(&dir, "a.jpg", source));
    assert_eq!(facts(&made), (12_000, 9000, None));
    assert!(made.says("encode", "resolution"));
    let shown = rendition(&made, "picture.jpg").0;
    assert_eq!((shown.width, shown.height), (4096, 3072));
    assert_near(shown.color(0.5, 0.5), [0x30, 0xa0, 0xd0], 6, "rendition");
}

#[test]
fn a_png_that_breaks_off_is_shown_as_far_as_it_goes() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = picture(&dir, "a.png", "-vf noise=alls=20");
    let bytes = std::fs::read(&path).expect("a picture");
    std::fs::write(&path, &bytes[..bytes.len() * 7 / 10]).expect("cut");
    let made = make(&path);
    assert_eq!(facts(&made), (320, 240, None));
    assert!(made.report.damage.is_some_and(|damage| damage.truncated));
    let shown = Shown::of(&made.thumbnail(), 0.0);
    assert!(is_color(shown.color(0.25, 0.25), QUARTERS[0]) && is_color(shown.color(0.75, 0.25), QUARTERS[1]));
}

#[test]
fn metadata_are_left_out_without_decoding_where_a_profile_asks_for_it() {
    let dir = tempfile::tempdir().expect("a directory");
    let plain = std::fs::read(picture(&dir, "plain.jpg", "-q:v 2")).expect("a picture");
    // Orientation 6, and an owner (Exif 2.32, 4.6.4 and 4.6.8), behind each other in one directory.
    let exif = [
        &b"\xff\xe1\0\x42Exif\0\0MM\0*\0\0\0\x08\0\x02"[..],
        b"\x01\x12\0\x03\0\0\0\x01\0\x06\0\0",
        b"\xa4\x30\0\x02\0\0\0\x14\0\0\0\x26\0\0\0\0",
        b"Somebody of Flensburg",
    ]
    .concat();
    let exif = [&exif[..2], &u16::try_from(exif.len() - 2).expect("short").to_be_bytes(), &exif[4..]].concat();
    let path = dir.path().join("a.jpg");
    std::fs::write(&path, [&plain[..2], &exif, &plain[2..], b"a film behind the picture"].concat()).expect("written");
    assert!(make(&path).report.produced.iter().all(|made| made.role == Role::Thumbnail));
    let made = make_with(&path, |profile| profile.picture.strip_metadata = true);
    assert!(made.says("remux", "private-metadata"), "{:?}", made.report.reasons);
    let (asset, stripped) = made.asset(Role::Rendition);
    assert_eq!((asset.object.as_str(), asset.width, asset.height), ("picture.jpg", Some(240), Some(320)));
    let bytes = std::fs::read(&stripped).expect("a rendition");
    let has = |bytes: &[u8], word: &[u8]| bytes.windows(word.len()).any(|window| window == word);
    assert!(!has(&bytes, b"Somebody") && !has(&bytes, b"behind"));
    // The orientation is still there, and what is decoded is the same.
    assert_eq!(facts(&make(&stripped)), (240, 320, None));
    assert_eq!(Shown::of(&stripped, 0.0).difference(&Shown::of(&path, 0.0)), 0.0);
}

#[test]
fn a_rendition_has_no_metadata_and_fits_where_it_must() {
    let dir = tempfile::tempdir().expect("a directory");
    let noise = "-f lavfi -i testsrc2=s=800x600,noise=alls=60 -frames:v 1 -c:v bmp";
    let path = synthesise(&dir, "a.bmp", noise);
    let made = make(&path);
    let (_, file) = rendition(&made, "picture.jpg");
    let bytes = std::fs::read(&file).expect("a rendition");
    assert!(!bytes.windows(4).any(|window| window == b"Exif"));
    let most = u64::try_from(bytes.len() / 3).expect("small");
    let made = make_with(&path, |profile| profile.max_bytes = most);
    let (_, file) = rendition(&made, "picture.jpg");
    assert!(std::fs::metadata(file).expect("a rendition").len() <= most);
    let made = make_with(&path, |profile| profile.picture.max_side = 400);
    let shown = rendition(&made, "picture.jpg").0;
    assert_eq!((shown.width, shown.height), (400, 300));
    assert_eq!(stream(&made.asset(Role::Rendition).1, "video")["codec_name"], "mjpeg");
}

#[test]
fn a_film_that_is_dark_for_long_has_a_thumbnail_with_something_to_see() {
    let dir = tempfile::tempdir().expect("a directory");
    let source = "-f lavfi -i color=black:s=160x120:r=10:d=17 -f lavfi -i testsrc2=s=160x120:r=10:d=3 \
                  -filter_complex concat=n=2:v=1";
    // Encoded; copied with keyframes where the picture changes; and with one keyframe for all.
    for (name, codec) in [
        ("a.mkv", "-c:v mpeg4 -q:v 4"),
        ("b.mp4", "-c:v libx264 -pix_fmt yuv420p -movflags +faststart"),
        ("c.mp4", "-c:v libx264 -pix_fmt yuv420p -g 1000 -sc_threshold 0 -movflags +faststart"),
    ] {
        let made = make(&synthesise(&dir, name, &format!("{source} {codec}")));
        let shown = Shown::of(&made.thumbnail(), 0.0);
        let brightest = (1..10)
            .flat_map(|x| (1..10).map(move |y| (f64::from(x) / 10.0, f64::from(y) / 10.0)))
            .filter_map(|(x, y)| shown.color(x, y).into_iter().max())
            .max();
        assert!(brightest > Some(100), "{name}: {brightest:?}");
    }
}
