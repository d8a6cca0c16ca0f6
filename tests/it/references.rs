//! Files that name other files and servers. None of them is followed: not in the jail, and not without it either,
//! since the demuxers that would are never asked. The `ffmpeg` program, asked to, does follow them: they are live.

use std::process::{Command, Stdio};

use mediamill::config::SandboxMode;
use mediamill::sandbox::SandboxOptions;
use mediamill::task::{INPUT, Task};

use crate::support::boxes::{Film, atom, chunk, full_atom, words};
use crate::support::canary::{Canary, SECRET};
use crate::support::say::say;
use crate::support::trial::Trial;
use crate::support::{cmd, jail};

/// A file that wants to be followed.
struct Bait {
    name: &'static str,
    bytes: Vec<u8>,
    /// Options with which the `ffmpeg` program takes it.
    taken_with: Option<&'static [&'static str]>,
}

const CONCAT: &[&str] = &["-protocol_whitelist", "file,http,tcp", "-f", "concat", "-safe", "0"];
const PLAYLISTS: &[&str] = &["-protocol_whitelist", "file,http,tcp,crypto", "-f", "hls", "-allowed_extensions", "ALL"];
const REFERENCES: &[&str] = &["-enable_drefs", "1", "-use_absolute_path", "1"];

fn bait(name: &'static str, bytes: impl Into<Vec<u8>>) -> Bait {
    Bait { name, bytes: bytes.into(), taken_with: None }
}

fn live(name: &'static str, taken_with: &'static [&'static str], bytes: impl Into<Vec<u8>>) -> Bait {
    Bait { taken_with: Some(taken_with), ..bait(name, bytes) }
}

fn baits(canary: &Canary) -> Vec<Bait> {
    let (url, path) = (canary.url(), canary.file().display().to_string());
    let playlist = |target: &str| {
        format!("#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXT-X-MEDIA-SEQUENCE:0\n#EXTINF:10,\n{target}\n#EXT-X-ENDLIST\n")
    };
    let (by_url, by_path) = (playlist(&url), playlist(&format!("file://{path}")));
    vec![
        live("HLS playlist of a server", PLAYLISTS, by_url.clone()),
        live("HLS playlist of a file", PLAYLISTS, by_path.clone()),
        live("HLS master playlist", PLAYLISTS, format!("#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\n{url}\n")),
        bait("HLS playlist behind a byte order mark", format!("\u{feff}{by_path}")),
        bait(
            "HLS playlist behind an ID3 tag",
            [b"ID3\x04\0\0\0\0\0\x0a".as_slice(), &[0; 10], by_path.as_bytes()].concat(),
        ),
        bait("HLS playlist behind a ftyp box", [&atom(b"ftyp", &[b"isom\0\0\0\0"])[..], by_path.as_bytes()].concat()),
        bait("HLS playlist as samples of a WAV", wav(by_path.as_bytes())),
        live("concat script of a file", CONCAT, format!("ffconcat version 1.0\nfile '{path}'\n")),
        live("concat script of a server", CONCAT, format!("ffconcat version 1.0\nfile {url}\n")),
        live("concat script without signature", CONCAT, format!("file '{path}'\n")),
        bait("DASH manifest", dash(&url)),
        bait(
            "SDP",
            format!("v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=audio {} RTP/AVP 0\n", 5004),
        ),
        bait("PLS playlist", format!("[playlist]\nFile1={url}\nNumberOfEntries=1\n")),
        bait("ASX playlist", format!("<asx version=\"3.0\"><entry><ref href=\"{url}\"/></entry></asx>")),
        bait("ASF reference", format!("[Reference]\nRef1={url}?MSWMExt=.asf\n")),
        bait(
            "XSPF playlist",
            format!(
                "<?xml version=\"1.0\"?><playlist><trackList><track><location>{url}</location></track></trackList></playlist>"
            ),
        ),
        bait(
            "SVG of a server",
            format!(
                "<svg xmlns=\"http://www.w3.org/2000/svg\" xmlns:xlink=\"http://www.w3.org/1999/xlink\"><image xlink:href=\"{url}\" width=\"9\" height=\"9\"/></svg>"
            ),
        ),
        bait(
            "SVG of a file",
            format!(
                "<?xml version=\"1.0\"?><!DOCTYPE svg [<!ENTITY x SYSTEM \"file://{path}\">]><svg xmlns=\"http://www.w3.org/2000/svg\"><text>&x;</text></svg>"
            ),
        ),
        bait(
            "subtitles with a style sheet",
            format!("WEBVTT\nSTYLE\n@import url({url});\n\n00:00.000 --> 00:10.000\n<img src=\"{url}\">\n"),
        ),
        bait(
            "VobSub index",
            format!(
                "# VobSub index file, v7\nid: en, index: 0\ntimestamp: 00:00:01:000, filepos: 000000000\n# {path}\n"
            ),
        ),
        bait("HLS playlist as subtitles of an AVI", avi_with_subtitles(by_path.as_bytes())),
        bait("HLS playlist of a server as subtitles of an AVI", avi_with_subtitles(by_url.as_bytes())),
        live("QuickTime samples in a file, by alias", REFERENCES, referring(&alias(&path))),
        bait("QuickTime samples on a server, by URL", referring(&full_atom(b"url ", 0, &[url.as_bytes(), b"\0"]))),
        bait(
            "QuickTime samples in a file, by URL",
            referring(&full_atom(b"url ", 0, &[format!("file://{path}\0").as_bytes()])),
        ),
        bait("QuickTime reference film of a server", reference_film(b"url ", &url)),
        bait("QuickTime reference film of a file", reference_film(b"alis", &path)),
        bait("ID3 picture by link", id3_link(&url)),
        bait("FLAC picture by link", flac_link(&url)),
    ]
}

#[test]
fn nothing_that_a_file_names_is_opened_or_called() {
    let canary = Canary::new();
    for mode in [SandboxMode::Required, SandboxMode::Off] {
        let sandbox = jail::start(SandboxOptions { mode, ..jail::options() });
        let spec = jail::spec(Task::Normalize);
        for bait in baits(&canary) {
            let trial = Trial::run(&sandbox, &spec, bait.name.to_owned(), &bait.bytes, |report, scratch| {
                let said = serde_json::to_string(report).expect("JSON");
                let entries = std::fs::read_dir(scratch).expect("readable").flatten();
                let made = entries.filter(|entry| entry.file_name() != INPUT);
                let leak = made.map(|entry| std::fs::read(entry.path()).expect("readable")).chain([said.into_bytes()]);
                leak.filter(|bytes| contains(bytes, SECRET)).map(|_| "the secret is in an output".to_owned()).collect()
            });
            assert_eq!(canary.hits(), 0, "{} was followed, sandbox {mode:?}", trial.name);
            assert_eq!(trial.complaints(&spec), Vec::<String>::new(), "{}", trial.name);
            if mode == SandboxMode::Required {
                say(format_args!("{:>22}  {}", trial.label(), trial.name));
            }
        }
    }
}

#[test]
fn the_baits_are_live_and_the_canary_is_awake() {
    let canary = Canary::new();
    let dir = cmd::Dir::new();
    for bait in baits(&canary) {
        let Some(options) = bait.taken_with else { continue };
        let path = dir.write("bait", &bait.bytes);
        // FFmpeg 7.1 wants to be asked once more before it follows a playlist by another name; older ones know no such option.
        for asked_twice in [&[][..], &["-extension_picky", "0"]] {
            let mut ffmpeg = Command::new("ffmpeg");
            ffmpeg.args(["-nostdin", "-v", "quiet"]).args(options).args(asked_twice).arg("-i").arg(&path);
            ffmpeg.args(["-t", "1", "-f", "null", "-"]).stdin(Stdio::null());
            ffmpeg.status().expect("the ffmpeg program is installed");
        }
        assert!(canary.hits() > 0, "{}", bait.name);
    }
}

/// The name that the sender gives has no say: a playlist called `.mp4` is still none.
#[test]
fn a_playlist_by_another_name_is_a_playlist() {
    let canary = Canary::new();
    let dir = cmd::Dir::new();
    for (bait, name) in baits(&canary).iter().zip(["film.mp4", "note.ogg", "picture.jpg"]) {
        dir.write(name, &bait.bytes);
        let run = dir.run(["normalize", name, "--out", "out"]).exits(3);
        assert!(format!("{}{}", run.stdout, run.stderr).contains("media.unsupported"), "{run:?}");
        assert_eq!(canary.hits(), 0, "{}", bait.name);
    }
}

fn contains(bytes: &[u8], what: &[u8]) -> bool {
    bytes.windows(what.len()).any(|window| window == what)
}

fn wav(data: &[u8]) -> Vec<u8> {
    let format = chunk(
        b"fmt ",
        &[
            &1_u16.to_le_bytes(),
            &1_u16.to_le_bytes(),
            &8000_u32.to_le_bytes(),
            &8000_u32.to_le_bytes(),
            &1_u16.to_le_bytes(),
            &8_u16.to_le_bytes(),
        ],
    );
    chunk(b"RIFF", &[b"WAVE", &format, &chunk(b"data", &[data])])
}

fn dash(url: &str) -> String {
    format!(
        "<?xml version=\"1.0\"?><MPD xmlns=\"urn:mpeg:dash:schema:mpd:2011\" type=\"static\" \
         mediaPresentationDuration=\"PT10S\" profiles=\"urn:mpeg:dash:profile:isoff-on-demand:2011\"><Period>\
         <AdaptationSet mimeType=\"video/mp4\"><Representation id=\"1\" bandwidth=\"1\"><BaseURL>{url}</BaseURL>\
         </Representation></AdaptationSet></Period></MPD>"
    )
}

/// The shape of CVE-2017-9993: a text stream whose packet is a GAB2 header and then a playlist.
fn avi_with_subtitles(text: &[u8]) -> Vec<u8> {
    let little = |numbers: &[u32]| numbers.iter().flat_map(|number| number.to_le_bytes()).collect::<Vec<u8>>();
    let main = chunk(b"avih", &[&little(&[40_000, 0, 0, 0x10, 125, 0, 1, 0, 224, 160, 0, 0, 0, 0])]);
    let head = chunk(b"strh", &[b"txts", &little(&[0, 0, 0, 0, 1, 25, 0, 125, 902, 10_000, 0, 0, 224])]);
    let format = chunk(b"strf", &[&little(&[40, 224, 160, 0x0018_0001]), b"XVID", &little(&[215_040, 0, 0, 0, 0])]);
    let gab2 = chunk(b"00tx", &[b"GAB2\0", &2_u16.to_le_bytes(), &little(&[0]), &[0; 2], &little(&[0]), text]);
    let streams = chunk(b"LIST", &[b"strl", &head, &format]);
    let header = chunk(b"LIST", &[b"hdrl", &main, &streams]);
    chunk(b"RIFF", &[b"AVI ", &header, &chunk(b"LIST", &[b"movi", &gab2])])
}

/// A film whose samples stand where `reference` says.
fn referring(reference: &[u8]) -> Vec<u8> {
    Film { reference: reference.to_vec(), data: Vec::new(), ..Film::sound() }.file()
}

/// An alias record with an absolute path (Inside Macintosh: Files, the Alias Manager; as libav reads it).
fn alias(path: &str) -> Vec<u8> {
    let length = u16::try_from(path.len()).expect("a short path");
    let pad: &[u8] = if path.len().is_multiple_of(2) { &[] } else { &[0] };
    let tail = [&2_u16.to_be_bytes()[..], &length.to_be_bytes(), path.as_bytes(), pad, &[0xff, 0xff, 0, 0]].concat();
    full_atom(b"alis", 0, &[&[0; 10], &[0; 28], &[0; 12], &[0; 64], &[0; 16], &[0; 4], &[0; 16], &tail])
}

/// A film that is nothing but a list of places where to find it (QuickTime File Format, reference movies).
fn reference_film(kind: &[u8; 4], target: &str) -> Vec<u8> {
    let length = words(&[u32::try_from(target.len() + 1).expect("short")]);
    let rdrf = full_atom(b"rdrf", 0, &[kind, &length, target.as_bytes(), b"\0"]);
    let ftyp = atom(b"ftyp", &[b"qt  ", &words(&[0]), b"qt  "]);
    [ftyp, atom(b"moov", &[&atom(b"rmra", &[&atom(b"rmda", &[&rdrf])])])].concat()
}

/// An APIC frame whose MIME type is `-->`: the picture is a URL (ID3v2.3, 4.15).
fn id3_link(url: &str) -> Vec<u8> {
    let content = [b"\0-->\0\x03\0".as_slice(), url.as_bytes()].concat();
    let frame =
        [b"APIC".as_slice(), &words(&[u32::try_from(content.len()).expect("short")]), &[0, 0], &content].concat();
    let size = u8::try_from(frame.len()).ok().filter(|size| *size < 128).expect("below 128 bytes");
    let speech = std::fs::read(cmd::repo_file("fixtures/speech.mp3")).expect("a fixture");
    [b"ID3\x03\0\0\0\0\0".as_slice(), &[size], &frame, &speech].concat()
}

/// A FLAC picture block whose MIME type is `-->` (RFC 9639, 8.8).
fn flac_link(url: &str) -> Vec<u8> {
    let length = |text: &str| words(&[u32::try_from(text.len()).expect("short")]);
    let picture =
        [&words(&[3]), &length("-->"), b"-->".as_slice(), &words(&[0, 9, 9, 24, 0]), &length(url), url.as_bytes()]
            .concat();
    let size = words(&[u32::try_from(picture.len()).expect("short")]);
    // 4096 samples a block, 8 kHz mono of 16 bits, length unknown.
    let info = [&[0x10, 0, 0x10, 0, 0, 0, 0, 0, 0, 0, 0x01, 0xf4, 0x00, 0xf0][..], &[0; 20]].concat();
    [b"fLaC\x00\0\0\x22".as_slice(), &info, &[0x86], &size[1..], &picture].concat()
}
