#!/usr/bin/env python3
"""What the crm profile should make of the files of a corpus, judged by ffprobe and ffmpeg alone.

    oracle.py DIR > expected.tsv

Nothing here asks mediamill: streams, sizes and turns are ffprobe's, lengths are of what ffmpeg decodes, and the
profile's rules are written down a second time. A file that this knows too little of gets a note by hand (see
`BY_HAND`), which also explains every place where the pipeline is right and the oracle is not.
"""

import json
import os
import subprocess
import sys

LONG, SHORT, RATE, BITS, LEVEL = 1280, 720, 30.0, 2_500_000, 40
MONO_BITS, STEREO_BITS, AAC_BITS = 40_000, 112_000, 64_000
PICTURES = {"png_pipe", "jpeg_pipe", "image2", "webp_pipe", "bmp_pipe", "tiff_pipe"}
PICTURE_BRANDS = {"heic", "heix", "mif1", "msf1", "avif", "avis", "miaf", "hevc"}

BY_HAND = {}  # filled from by-hand.tsv: path -> {column: value}, with the reason in "note"


def ffprobe(path):
    command = ["ffprobe", "-v", "error", "-show_format", "-show_streams", "-of", "json", path]
    done = subprocess.run(command, capture_output=True)
    return json.loads(done.stdout or b"{}") if done.returncode == 0 else {}


def decoded_ms(path, streams, start):
    """End of the last decoded frame of the streams that are kept, from the start of the file."""
    ends = []
    for stream in streams:
        entries = "frame=best_effort_timestamp_time,pkt_duration_time,nb_samples"
        command = ["ffprobe", "-v", "error", "-select_streams", str(stream["index"]), "-show_entries", entries]
        done = subprocess.run(command + ["-of", "json", path], capture_output=True)
        frames = json.loads(done.stdout or b"{}").get("frames", [])
        if not frames:
            continue
        if len(streams) == 1 and stream["codec_type"] == "audio":
            samples = sum(int(frame.get("nb_samples", 0)) for frame in frames)
            return round(samples * 1000 / int(stream["sample_rate"]))
        last = max(frames, key=lambda f: float(f.get("best_effort_timestamp_time", 0)))
        if stream["codec_type"] == "audio" and "nb_samples" in last:
            length = int(last["nb_samples"]) / int(stream["sample_rate"])
        else:
            length = float(last.get("pkt_duration_time", 0))
        ends.append(float(last.get("best_effort_timestamp_time", 0)) + length)
    return round((max(ends) - start) * 1000) if ends else None


def displayed(stream):
    width, height = stream["width"], stream["height"]
    num, _, den = stream.get("sample_aspect_ratio", "1:1").partition(":")
    num, den = int(num or 1), int(den or 1)
    if num and den and abs(num - den) / den > 0.01:
        if num > den:
            width = round(width * num / den)
        else:
            height = round(height * den / num)
    turned = next((s.get("rotation", 0) for s in stream.get("side_data_list", []) if "rotation" in s), 0)
    return (height, width) if round(abs(turned)) % 180 == 90 else (width, height)


def fit(width, height):
    scale = min(LONG / max(width, height), SHORT / min(width, height), 1)
    return tuple(max(2, min(2 * int(side * scale / 2 + 0.5), side & ~1)) for side in (width, height))


def fraction(text):
    num, _, den = text.partition("/")
    return int(num) / int(den) if int(den or 0) else 0.0


def kept_video(stream, whole_bits):
    """Whether H.264 may stay as it is."""
    width, height = displayed(stream)
    num, _, den = stream.get("sample_aspect_ratio", "1:1").partition(":")
    square = not int(num or 0) or not int(den or 0) or abs(int(num) - int(den)) / int(den) <= 0.01
    bits = int(stream.get("bit_rate", 0)) or whole_bits
    return (
        stream["codec_name"] == "h264"
        and stream.get("profile", "High") in ("Baseline", "Constrained Baseline", "Main", "High")
        and stream.get("pix_fmt") == "yuv420p"
        and stream.get("field_order", "progressive") in ("progressive", "unknown")
        and stream.get("color_transfer") not in ("smpte2084", "arib-std-b67")
        and max(width, height) <= LONG
        and min(width, height) <= SHORT
        and square
        and int(stream.get("level", 0)) <= LEVEL
        and fraction(stream["avg_frame_rate"]) <= RATE * 1.02
        and bits <= BITS
    )


def kept_audio(stream):
    channels = int(stream.get("channels", 0))
    return (
        stream["codec_name"] == "aac"
        and stream.get("profile") == "LC"
        and channels <= 2
        and int(stream.get("sample_rate", 0)) <= 48_000
        and int(stream.get("bit_rate", 0)) <= AAC_BITS * 2 * 2
    )


def main_stream(streams, kind):
    readable = [s for s in streams if s.get("codec_type") == kind and not s["disposition"].get("attached_pic")]
    size = lambda s: s.get("width", 0) * s.get("height", 0) if kind == "video" else 0
    return max(readable, key=lambda s: (s["disposition"].get("default", 0), size(s), -s["index"]), default=None)


def expected(path):
    head = open(path, "rb").read(16)
    if head.startswith(b"%PDF-"):
        return dict(kind="document", action="kept-original")
    probed = ffprobe(path)
    streams, form = probed.get("streams", []), probed.get("format", {})
    brand = head[8:12].decode("latin-1") if head[4:8] == b"ftyp" else ""
    if form.get("format_name") in PICTURES or brand in PICTURE_BRANDS:
        return dict(kind="image", action="kept-original")
    if not streams:
        return dict(action="rejected")
    video, audio = main_stream(streams, "video"), main_stream(streams, "audio")
    start = float(form.get("start_time", 0) or 0)
    whole = int(form.get("bit_rate", 0) or 0) if sum(s is not None for s in (video, audio)) == 1 else 0
    if video is None and audio is None:
        return dict(action="rejected")
    if video is None:
        cap = (MONO_BITS if int(audio["channels"]) < 2 else STEREO_BITS) * 1.02
        fits = audio["codec_name"] == "mp3" and (int(audio.get("bit_rate", 0)) or whole) <= cap
        action = "encoded" if not fits else "copied" if form["format_name"] == "mp3" else "remuxed"
        return dict(kind="audio", action=action, codecs="mp3", duration_ms=decoded_ms(path, [audio], start))
    keeps = kept_video(video, whole) and (audio is None or kept_audio(audio))
    kept = [s for s in (video, audio) if s is not None]
    width, height = displayed(video) if kept_video(video, whole) else fit(*displayed(video))
    return dict(
        kind="video",
        # Whether anything has to be written anew is for the pipeline to say; both are a copy of the streams.
        action="copied|remuxed" if keeps else "encoded",
        codecs="h264+aac" if audio else "h264",
        width=width,
        height=height,
        duration_ms=decoded_ms(path, kept, start),
    )


def main():
    columns = ["path", "kind", "action", "codecs", "width", "height", "duration_ms", "note"]
    here = os.path.dirname(os.path.abspath(__file__))
    with open(os.path.join(here, "by-hand.tsv"), encoding="utf-8") as lines:
        for line in lines.read().splitlines()[1:]:
            path, column, value, note = line.split("\t")
            BY_HAND.setdefault(path, {"note": []})[column] = value
            BY_HAND[path]["note"].append(note)
    print("\t".join(columns))
    root = sys.argv[1]
    for folder, _, names in sorted(os.walk(root)):
        for name in sorted(names):
            path = os.path.join(folder, name)
            relative = os.path.relpath(path, root)
            if relative == "MANIFEST.tsv" or os.path.splitext(name)[1] == ".md":
                continue
            row = {"path": relative, **expected(path)}
            by_hand = BY_HAND.get(relative, {})
            row.update({k: v for k, v in by_hand.items() if k != "note"}, note="; ".join(dict.fromkeys(by_hand.get("note", []))))
            print("\t".join(str(row.get(column) if row.get(column) is not None else "") for column in columns))


main()
