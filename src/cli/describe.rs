//! Facts in a few words, for tables, pages and terminals.

use crate::events::{Reason, Stream, StreamDetail};

/// `h264 1920×1080 30 fps`, `opus 48 kHz mono`.
pub(super) fn stream(stream: &Stream) -> String {
    let mut text = stream.codec.clone();
    match &stream.detail {
        StreamDetail::Video { width, height, frame_rate, dynamic_range, cover_art, .. } => {
            text.push_str(&format!(" {width}×{height}"));
            text.extend(frame_rate.map(|rate| format!(" {} fps", (rate * 100.0).round() / 100.0)));
            if dynamic_range != "sdr" {
                text.push_str(&format!(" {}", dynamic_range.to_uppercase()));
            }
            if *cover_art {
                text.push_str(" cover");
            }
        }
        StreamDetail::Audio { sample_rate_hz, channels } => {
            let channels = match channels {
                1 => "mono".to_owned(),
                2 => "stereo".to_owned(),
                more => format!("{more} channels"),
            };
            text.push_str(&format!(" {} kHz {channels}", f64::from(*sample_rate_hz) / 1000.0));
        }
        StreamDetail::Subtitle | StreamDetail::Data => {}
    }
    text
}

/// What is known of a stream beyond [`stream`].
pub(super) fn stream_details(stream: &Stream) -> String {
    let mut parts: Vec<String> = stream.profile.iter().cloned().collect();
    if let StreamDetail::Video { pixel_format, level, orientation, color_space, .. } = &stream.detail {
        parts.extend(level.map(|level| format!("level {level}")));
        parts.push(pixel_format.clone());
        parts.extend(color_space.clone());
        if orientation.mirrored {
            parts.push("mirrored".to_owned());
        }
        if orientation.rotation_degrees != 0 {
            parts.push(format!("turned {}°", orientation.rotation_degrees));
        }
    }
    parts.extend(stream.bit_rate.map(|rate| format!("{} kbit/s", rate.div_ceil(1000))));
    parts.extend(stream.start_ms.filter(|start| *start != 0).map(|start| format!("starts at {start} ms")));
    parts.extend(stream.duration_ms.map(|ms| format!("{ms} ms")));
    if stream.default {
        parts.push("default".to_owned());
    }
    parts.join(", ")
}

/// Where, what, why, with which figures: the parts of a line.
pub(super) fn reason(reason: &Reason) -> (String, &str, String) {
    let place = reason.stream.map_or_else(|| "file".to_owned(), |index| format!("stream {index}"));
    let detail = reason.detail.as_ref().map(|detail| format!(": {detail}")).unwrap_or_default();
    (place, &reason.verdict, format!("{}{detail}", reason.reason))
}
