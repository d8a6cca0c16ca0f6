//! What people see: upright, in shape, in colour.

use std::path::Path;

use mediamill::events::{Action, Kind, Role};

use crate::support::media::{
    QUARTERS, Shown, decodes, ffmpeg, fixture, is_color, make, make_with, quarters, stream, synthesise,
};
use crate::support::pictures::gif;

/// The eight ways to turn and mirror: `x' = a x + c y`, `y' = b x + d y`, with y downwards. In the order of Exif's
/// orientations 1 to 8 (Exif 2.32, table 6); a display matrix (ISO/IEC 14496-12, 6.2.2) has the same four numbers.
const TURNS: [[i32; 4]; 8] = [
    [1, 0, 0, 1],
    [-1, 0, 0, 1],
    [-1, 0, 0, -1],
    [1, 0, 0, -1],
    [0, 1, 1, 0],
    [0, 1, -1, 0],
    [0, -1, -1, 0],
    [0, -1, 1, 0],
];

/// Asserts that the quarters are where a turn puts them.
fn assert_turned(shown: &Shown, [a, b, c, d]: [i32; 4], what: &str) {
    for (n, wanted) in QUARTERS.iter().enumerate() {
        let (x, y) = (if n % 2 == 0 { -1 } else { 1 }, if n < 2 { -1 } else { 1 });
        let (to_x, to_y) = (a * x + c * y, b * x + d * y);
        let seen = shown.color(0.5 + 0.25 * f64::from(to_x), 0.5 + 0.25 * f64::from(to_y));
        assert!(is_color(seen, *wanted), "{what}: quarter {n} is {seen:?} instead of {wanted:?}");
    }
    let lies = a == 0;
    assert_eq!(shown.width < shown.height, lies, "{what}: {}x{}", shown.width, shown.height);
}

/// Writes another display matrix into the only track of an MP4.
fn set_matrix(path: &Path, [a, b, c, d]: [i32; 4]) {
    let mut bytes = std::fs::read(path).expect("a film");
    let tkhd = bytes.windows(4).position(|w| w == b"tkhd").expect("a track header");
    // Behind the name: 4 bytes of version and flags, 36 of version 0's fields (ISO/IEC 14496-12, 8.3.2).
    let matrix = [a << 16, b << 16, 0, c << 16, d << 16, 0, 0, 0, 1 << 30];
    for (n, entry) in matrix.iter().enumerate() {
        bytes[tkhd + 44 + 4 * n..][..4].copy_from_slice(&entry.to_be_bytes());
    }
    std::fs::write(path, bytes).expect("the film again");
}

#[test]
fn a_turned_film_is_upright_whether_copied_or_encoded() {
    let dir = tempfile::tempdir().expect("a directory");
    let source = quarters(320, 240, 1, 10);
    let conforming = synthesise(&dir, "h264.mp4", &format!("{source} -c:v libx264 -pix_fmt yuv420p"));
    let foreign = synthesise(&dir, "mpeg4.mp4", &format!("{source} -c:v mpeg4 -q:v 2"));
    for turn in TURNS {
        for (film, action) in [(&conforming, Action::Remuxed), (&foreign, Action::Encoded)] {
            set_matrix(film, turn);
            let what = format!("{action:?} {turn:?}");
            let made = make(film);
            assert_eq!(made.report.action, action, "{what}");
            assert_turned(&Shown::of(&made.thumbnail(), 0.0), turn, &format!("thumbnail of {what}"));
            assert_turned(&Shown::of(&made.playback(), 0.0), turn, &what);
            let matrix = stream(&made.playback(), "video")["side_data_list"].clone();
            let kept = action == Action::Remuxed && turn != TURNS[0];
            assert_eq!(matrix.is_array(), kept, "{what}: {matrix}");
            let (asset, _) = made.asset(Role::Playback);
            let size = if turn[0] == 0 { (240, 320) } else { (320, 240) };
            assert_eq!((asset.width, asset.height), (Some(size.0), Some(size.1)), "{what}");
        }
    }
}

/// A JPEG with an Exif orientation in front of the rest (Exif 2.32, 4.5.4 and 4.6.2).
fn with_orientation(jpeg: &[u8], orientation: u8) -> Vec<u8> {
    let mut exif = b"\xff\xe1\0\x22Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0".to_vec();
    exif.extend_from_slice(&[orientation, 0, 0, 0, 0, 0, 0]);
    [&jpeg[..2], &exif, &jpeg[2..]].concat()
}

#[test]
fn the_eight_exif_orientations_give_upright_thumbnails() {
    let dir = tempfile::tempdir().expect("a directory");
    let plain = synthesise(&dir, "plain.jpg", &format!("{} -frames:v 1 -q:v 2", quarters(320, 240, 1, 1)));
    let jpeg = std::fs::read(&plain).expect("a picture");
    let turned = dir.path().join("turned.jpg");
    for (n, turn) in TURNS.iter().enumerate() {
        let orientation = u8::try_from(n + 1).expect("one of eight");
        std::fs::write(&turned, with_orientation(&jpeg, orientation)).expect("a picture");
        let made = make(&turned);
        assert_eq!(made.report.action, Action::KeptOriginal);
        assert_turned(&Shown::of(&made.thumbnail(), 0.0), *turn, &format!("orientation {orientation}"));
    }
}

#[test]
fn pixels_become_square_sizes_even_and_the_shape_stays() {
    let dir = tempfile::tempdir().expect("a directory");
    // Coded size and pixel aspect ratio, and the shape that a player shows.
    let cases = [
        ("720x576", "16/15", 4.0 / 3.0),
        ("720x576", "64/45", 16.0 / 9.0),
        ("321x241", "1/1", 321.0 / 241.0),
        ("1440x1080", "4/3", 16.0 / 9.0),
        ("128x640", "1/1", 0.2),
        ("2000x200", "1/1", 10.0),
    ];
    for (size, aspect, shape) in cases {
        let film = synthesise(
            &dir,
            "film.mkv",
            &format!("-f lavfi -i testsrc2=s={size}:r=10:d=1 -vf setsar={aspect} -c:v mpeg4 -q:v 4"),
        );
        let made = make(&film);
        let out = stream(&made.playback(), "video");
        let (width, height) = (out["width"].as_u64().expect("a width"), out["height"].as_u64().expect("a height"));
        assert_eq!((width % 2, height % 2), (0, 0), "{size}: {width}x{height}");
        assert!(["1:1", "N/A"].contains(&out["sample_aspect_ratio"].as_str().unwrap_or("N/A")), "{out:#}");
        #[expect(clippy::cast_precision_loss, reason = "pixels")]
        let off = (width as f64 / height as f64) / shape;
        assert!((0.99..1.01).contains(&off), "{size} by {aspect}: {width}x{height}");
        assert!(width.max(height) <= 1280 && width.min(height) <= 720, "{size}: {width}x{height}");
    }
}

#[test]
fn a_shape_that_is_square_within_a_hundredth_is_no_reason_to_encode() {
    let dir = tempfile::tempdir().expect("a directory");
    let film = synthesise(
        &dir,
        "film.mp4",
        "-f lavfi -i testsrc2=s=426x240:r=10:d=1 -vf setsar=640/639 -c:v libx264 -pix_fmt yuv420p -movflags +faststart",
    );
    assert!(make(&film).says("copy", "conforms"));
}

#[test]
fn high_dynamic_range_is_mapped_to_tagged_bt709() {
    let dir = tempfile::tempdir().expect("a directory");
    for transfer in ["arib-std-b67", "smpte2084"] {
        let film = synthesise(
            &dir,
            &format!("{transfer}.mov"),
            &format!(
                "-f lavfi -i testsrc2=s=640x360:r=5:d=1 -vf zscale=tin=bt709:min=bt709:pin=bt709:rin=tv:\
                 t={transfer}:m=bt2020nc:p=bt2020:r=tv:npl=203,format=yuv420p10le -c:v libx265 -preset ultrafast \
                 -x265-params log-level=none:lossless=1 -color_trc {transfer} -colorspace bt2020nc \
                 -color_primaries bt2020 -tag:v hvc1"
            ),
        );
        let made = make(&film);
        assert!(made.says("encode", "codec"), "{:?}", made.report.reasons);
        let out = stream(&made.playback(), "video");
        for (key, value) in [
            ("pix_fmt", "yuv420p"),
            ("color_space", "bt709"),
            ("color_transfer", "bt709"),
            ("color_primaries", "bt709"),
            ("color_range", "tv"),
        ] {
            assert_eq!(out[key], value, "{transfer}: {out:#}");
        }
        let shown = Shown::of(&made.playback(), 0.0);
        // White of the source became reference white, 203 cd/m² (ITU-R BT.2408): it is white again.
        let source = synthesise(
            &dir,
            "source.png",
            "-f lavfi -i testsrc2=s=640x360 -vf scale=in_color_matrix=bt709 -frames:v 1",
        );
        let difference = shown.difference(&Shown::of(&source, 0.0));
        eprintln!("{transfer}: {difference:.2} of 255 from the source");
        assert!(difference < 12.0, "{transfer}: {difference:.1} of 255 from the source");
        let thumbnail = Shown::of(&made.thumbnail(), 0.0);
        for (x, y) in [(0.3, 0.3), (0.7, 0.6)] {
            let (a, b) = (thumbnail.color(x, y), shown.color(x, y));
            assert!(is_color(a, b), "{transfer}: thumbnail {a:?}, film {b:?}");
        }
    }
}

#[test]
fn reference_white_of_high_dynamic_range_is_not_dim() {
    let dir = tempfile::tempdir().expect("a directory");
    for transfer in ["arib-std-b67", "smpte2084"] {
        let chain = format!(
            "zscale=tin=bt709:min=bt709:pin=bt709:rin=tv:t={transfer}:m=bt2020nc:p=bt2020:r=tv:npl=203,format=yuv420p10le"
        );
        let film = synthesise(
            &dir,
            &format!("{transfer}.mov"),
            &format!(
                "-f lavfi -i color=white:s=320x240:r=5:d=1,format=yuv420p -vf {chain} -c:v libx265 -preset ultrafast \
                 -x265-params log-level=none -color_trc {transfer} -colorspace bt2020nc -color_primaries bt2020 -tag:v hvc1"
            ),
        );
        let made = make(&film);
        for shown in [Shown::of(&made.playback(), 0.0), Shown::of(&made.thumbnail(), 0.0)] {
            let white = shown.color(0.5, 0.5);
            assert!(white.iter().all(|value| *value >= 230), "{transfer}: {white:?}");
        }
    }
}

#[test]
fn wider_primaries_are_mapped_to_those_of_bt709() {
    let dir = tempfile::tempdir().expect("a directory");
    // The same colour in the numbers of each.
    for (primaries, matrix, color) in [("smpte432", "bt709", "0xca3b3d"), ("bt2020", "bt2020nc", "0xb54c3c")] {
        let source = format!(
            "-f lavfi -i color={color}:s=320x240:r=5:d=1,format=gbrp -vf \
             zscale=pin={primaries}:tin=bt709:min=gbr:p={primaries}:t=bt709:m={matrix}:r=tv,format=yuv420p"
        );
        let tags = format!("-color_trc bt709 -colorspace {matrix} -color_primaries {primaries}");
        let film = format!("{source} -c:v libx265 -preset ultrafast -x265-params log-level=none {tags} -tag:v hvc1");
        let made = make(&synthesise(&dir, &format!("{primaries}.mov"), &film));
        for (what, shown) in [("film", made.playback()), ("thumbnail", made.thumbnail())] {
            let seen = Shown::of(&shown, 0.0).color(0.5, 0.5);
            let off = seen.iter().zip([219, 32, 52]).map(|(a, b)| a.abs_diff(b)).max();
            assert!(off <= Some(8), "{primaries}: {what} is {seen:?}");
        }
    }
}

#[test]
fn ranges_matrices_and_depths_end_in_the_same_colours() {
    let dir = tempfile::tempdir().expect("a directory");
    let cases = [
        (
            "full range",
            "scale=out_range=pc:out_color_matrix=bt709,format=yuvj420p",
            "-color_range pc -colorspace bt709",
        ),
        ("BT.601", "scale=out_color_matrix=bt601,format=yuv420p", "-colorspace smpte170m -color_range tv"),
        ("10 bits", "scale=out_color_matrix=bt709,format=yuv420p10le", "-colorspace bt709 -color_range tv"),
        ("4:4:4", "scale=out_color_matrix=bt709,format=yuv444p", "-colorspace bt709 -color_range tv"),
        ("RGB", "format=rgb24", ""),
    ];
    for (name, chain, tags) in cases {
        let codec = if name == "RGB" { "png" } else { "libx264 -crf 10" };
        let source = quarters(1280, 720, 1, 5);
        let film = synthesise(&dir, "film.mov", &format!("{source},{chain} -c:v {codec} {tags}"));
        let made = make_with(&film, |profile| {
            profile.video.max_short_side = 480;
            // Four colours are few bytes either way.
            profile.larger_tolerance_percent = 1000.0;
        });
        assert_eq!(made.report.action, Action::Encoded, "{name}");
        decodes(&made.playback());
        let shown = Shown::of(&made.playback(), 0.0);
        for (n, wanted) in QUARTERS.iter().enumerate() {
            let seen = shown.color(if n % 2 == 0 { 0.25 } else { 0.75 }, if n < 2 { 0.25 } else { 0.75 });
            let off = seen.iter().zip(wanted).map(|(a, b)| a.abs_diff(*b)).max().unwrap_or(0);
            assert!(off <= 8, "{name}: quarter {n} is {seen:?} instead of {wanted:?}");
        }
        let out = stream(&made.playback(), "video");
        assert_eq!((&out["color_space"], &out["color_range"]), (&"bt709".into(), &"tv".into()), "{name}");
    }
}

#[test]
fn a_poster_is_not_a_black_frame() {
    let dir = tempfile::tempdir().expect("a directory");
    for codec in ["mpeg4 -q:v 4", "libx264 -pix_fmt yuv420p -g 10"] {
        let film = synthesise(
            &dir,
            "film.mp4",
            &format!("-f lavfi -i testsrc2=s=320x240:r=10:d=4,fade=t=in:st=0.9:d=0.2 -c:v {codec}"),
        );
        let poster = Shown::of(&make(&film).thumbnail(), 0.0);
        let brightest = (1..10)
            .flat_map(|x| (1..10).map(move |y| (f64::from(x) / 10.0, f64::from(y) / 10.0)))
            .map(|(x, y)| poster.color(x, y).into_iter().max().unwrap_or(0))
            .max();
        assert!(brightest > Some(100), "{codec}: {brightest:?}");
    }
}

#[test]
fn the_phone_fixture_is_shown_as_it_was_held() {
    let made = make(&fixture("phone-portrait.mp4"));
    let (asset, path) = made.asset(Role::Playback);
    assert!(asset.width < asset.height, "{asset:?}");
    let shown = Shown::of(&path, 1.0);
    let reference = Shown::of(&fixture("phone-portrait.mp4"), 1.0);
    assert_eq!(shown.width < shown.height, reference.width < reference.height);
}

/// The reason for which a picture was kept without a thumbnail, and whether its bytes are called damaged.
#[track_caller]
fn kept_for(path: &Path) -> (String, bool) {
    let report = make(path).report;
    assert_eq!((report.action, report.kind), (Action::KeptOriginal, Kind::Image), "{}", path.display());
    assert!(report.produced.is_empty(), "{}: {:?}", path.display(), report.produced);
    let reason = report.reasons.iter().find(|reason| reason.stream == Some(0)).expect("a reason");
    assert_eq!(reason.verdict, "keep");
    (reason.reason.clone(), report.damage.is_some())
}

#[test]
fn a_picture_that_breaks_off_before_there_is_one_is_kept_as_damaged() {
    let dir = tempfile::tempdir().expect("a directory");
    // How many bytes are left: recognised, and nothing to see.
    for (name, codec, left) in [
        ("a.png", "png", 40),
        ("a.jpg", "mjpeg", 24),
        ("a.webp", "libwebp", 40),
        ("a.gif", "gif", 16),
        ("a.bmp", "bmp", 60),
        ("a.tif", "tiff", 40),
    ] {
        let path = synthesise(&dir, name, &format!("{} -frames:v 1 -c:v {codec}", quarters(64, 48, 1, 1)));
        let bytes = std::fs::read(&path).expect("a picture");
        std::fs::write(&path, &bytes[..left]).expect("cut");
        assert_eq!(kept_for(&path), ("undecodable".to_owned(), true), "{name}");
    }
}

#[test]
fn an_animated_gif_without_a_frame_to_show_is_kept_as_damaged() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("a.gif");
    let mut bytes = gif(64, 48, 3);
    // The code size of each frame's LZW: 13 is more than a GIF can have (GIF89a, 22).
    let frames: Vec<usize> = (0..bytes.len() - 2).filter(|at| bytes[*at..at + 3] == [2, 2, 0x44]).collect();
    assert_eq!(frames.len(), 3);
    frames.into_iter().for_each(|at| bytes[at] = 13);
    std::fs::write(&path, bytes).expect("a picture");
    assert_eq!(kept_for(&path), ("undecodable".to_owned(), true));
}

#[test]
fn a_picture_that_the_decoder_does_not_know_is_kept_and_not_called_damaged() {
    let dir = tempfile::tempdir().expect("a directory");
    let tiff = synthesise(&dir, "lab.tif", &format!("{} -frames:v 1 -compression_algo raw", quarters(64, 48, 1, 1)));
    let mut bytes = std::fs::read(&tiff).expect("a picture");
    // PhotometricInterpretation (TIFF 6.0, section 8): a short, and CIE L*a*b* is 8 (section 23).
    let tag = bytes.windows(8).position(|w| w == [6, 1, 3, 0, 1, 0, 0, 0]).expect("the tag");
    bytes[tag + 8..tag + 10].copy_from_slice(&8_u16.to_le_bytes());
    std::fs::write(&tiff, bytes).expect("the picture again");
    assert_eq!(kept_for(&tiff), ("no-decoder".to_owned(), false));
}

/// The worst SSIM of a picture of `film`, of those of `source`, by number.
fn worst_ssim(source: &Path, film: &Path) -> f64 {
    let pairs = "[0:v]format=yuv420p,settb=1/25,setpts=N[a];[1:v]settb=1/25,setpts=N[b];[a][b]ssim=stats_file=-";
    let source = source.to_str().expect("a path in UTF-8");
    let said = ffmpeg(&format!("-i {source} -i {{}} -lavfi {pairs} -f null /dev/null"), film).stdout;
    let said = String::from_utf8(said).expect("text");
    let each = said.lines().filter_map(|line| line.split_once("All:")?.1.split(' ').next()?.parse().ok());
    each.reduce(f64::min).expect("pictures")
}

#[test]
fn thin_lines_of_a_slide_show_stay_legible_at_the_low_bit_rate_that_it_has() {
    let dir = tempfile::tempdir().expect("a directory");
    let lines = "if(lt(mod(X+Y+N*13,200),1)*lt(X,30*N),16,235)";
    let source = format!("-f lavfi -i color=white:s=320x240:r=1/3:d=30,geq=lum='{lines}':cb=128:cr=128");
    let cases = [
        // The drawing in a GIF's palette is not quite that in the film.
        ("slides.gif", "", 0.98),
        ("slides.mkv", "-c:v ffv1", 0.995),
        ("slides.webm", "-c:v libvpx-vp9 -crf 20 -b:v 0 -g 100", 0.995),
    ];
    for (name, codec, least) in cases {
        let film = synthesise(&dir, name, &format!("{source} {codec}"));
        let made = make(&film);
        assert_eq!(made.report.action, Action::Encoded, "{name}");
        let alike = worst_ssim(&film, &made.playback());
        assert!(alike > least, "{name}: {alike}");
        let size = |path: &Path| std::fs::metadata(path).expect("a file").len();
        let (before, after) = (size(&film), size(&made.playback()));
        assert!(after < 3 * before, "{name}: {before} bytes, {after} as MP4");
    }
}
