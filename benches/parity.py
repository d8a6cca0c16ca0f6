#!/usr/bin/env python3
"""Our encodes against the ffmpeg program's with equal parameters, file by file, in turn in one run.

    parity.py MEDIAMILL CORPUS [--files 20] [--repeat 3]

For each film: SSIM between the two outputs, frame by frame, size of the picture's stream, CPU seconds (ours also measures
loudness, picks a poster and proves its output). For each sound: size and CPU seconds. A worker starts its fork server
once: what `mediamill` spends on a file that it only keeps is taken off. Exits 1 where a bound is broken: SSIM below 0.995,
or a median size more than 2 % or CPU time more than 5 % above.
"""

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile

SSIM, SIZE, CPU = 0.995, 1.02, 1.05


def cpu_of(command):
    """Runs a command; CPU seconds of it and of everything that it waited for."""
    pid = os.posix_spawn(command[0], command, os.environ, file_actions=[
        (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, "/dev/null", os.O_WRONLY, 0),
        (os.POSIX_SPAWN_OPEN, 2, "/dev/null", os.O_WRONLY, 0),
    ])
    _, status, used = os.wait4(pid, 0)
    if status != 0:
        raise RuntimeError(f"{command}: exit status {status}")
    return used.ru_utime + used.ru_stime


def which(program):
    return next(p for p in (os.path.join(d, program) for d in os.environ["PATH"].split(":")) if os.access(p, os.X_OK))


def asset(line, role):
    return next((a for a in line["assets"] if a["role"] == role), None)


def probe(path, entries, select):
    command = ["ffprobe", "-v", "error", "-select_streams", select, "-show_entries", entries, "-of", "json", path]
    return json.loads(subprocess.run(command, capture_output=True, check=True).stdout)


def payload(path, select):
    packets = probe(path, "packet=size", select)["packets"]
    return sum(int(packet["size"]) for packet in packets)


def ssim(ours, theirs):
    # By number: times that are rounded in two ways would pair a frame with the one before. Where timestamps repeat, ours
    # keeps what a player shows, the last, and the program all of them, a little apart: other frames, nothing to judge.
    counts = [len(probe(path, "packet=pts", "v:0")["packets"]) for path in (ours, theirs)]
    if counts[0] != counts[1]:
        return None
    pairs = "[0:v]settb=1/25,setpts=N[a];[1:v]settb=1/25,setpts=N[b];[a][b]ssim"
    command = ["ffmpeg", "-nostdin", "-hide_banner", "-i", ours, "-i", theirs, "-lavfi", pairs, "-f", "null", "-"]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stderr
    return float(re.search(r"All:([0-9.]+)", said).group(1))


def encoded(line, kind, max_rate):
    """Whether this line is of a plain encode, without what ffmpeg's command line would do in another way."""
    reasons = {reason["reason"] for reason in line["decision"]["reasons"]}
    other = {"frame-rate", "dynamic-range", "interlaced", "never-larger", "budget", "proof"}
    # Pictures in high dynamic range are compared with a reference of their own in the tests.
    hdr = any(s.get("dynamic_range", "sdr") != "sdr" for s in line["original"]["streams"])
    # What has no rate, or too high a one, gets one by rules of our own.
    rates = [s.get("frame_rate") or 1000 for s in line["original"]["streams"] if s["type"] == "video"]
    damaged = line["original"].get("damaged", False) or any(rate > max_rate for rate in rates)
    return line.get("kind") == kind and line["decision"]["action"] == "encoded" and not (reasons & other or hdr or damaged)


def verdicts(line):
    return {r.get("stream"): r["verdict"] for r in line["decision"]["reasons"] if r.get("stream") is not None}


def film_command(line, profile, out):
    path, playback, streams = line["input"], asset(line, "playback"), line["original"]["streams"]
    said = verdicts(line)
    video = next(s for s in streams if s["type"] == "video" and said[s["index"]] in ("encode", "copy"))
    audio = next((s for s in streams if s["type"] == "audio" and said[s["index"]] in ("encode", "copy")), None)
    rate = min(video.get("frame_rate") or 25.0, profile["video"]["max_frame_rate"])
    chain = f"scale={playback['width']}:{playback['height']}:out_color_matrix=bt709:out_range=tv"
    # What has no tag is BT.709 from 720 lines on, as players have it; the program's scaler takes all of it for BT.601.
    source = probe(path, "stream=color_space,width,height", str(video["index"]))["streams"][0]
    if source.get("color_space", "unknown") == "unknown" and (source["height"] >= 720 or source["width"] >= 1280):
        chain += ":in_color_matrix=bt709"
    chain += ",setsar=1,format=yuv420p"
    command = [which("ffmpeg"), "-nostdin", "-v", "error", "-y", "-threads", str(os.cpu_count()), "-i", path]
    # Rate control goes by time: rounded to the nominal frame rate, it decides otherwise.
    command += ["-map", f"0:{video['index']}", "-vf", chain, "-vsync", "vfr", "-enc_time_base", "-1", "-c:v", "libx264"]
    if said[video["index"]] == "copy":
        return None
    settings = profile["video"]
    command += ["-preset", settings["preset"], "-profile:v", "high", "-crf", str(settings["crf"])]
    command += ["-g", str(max(10, int(rate * settings["keyframe_interval_s"]))), "-threads", str(os.cpu_count())]
    if audio:
        command += ["-map", f"0:{audio['index']}"]
        channels = min(audio["channels"], 2)
        keep = said[audio["index"]] == "copy"
        command += ["-c:a", "copy"] if keep else [
            "-c:a", "aac", "-ac", str(channels), "-b:a", str(channels * settings["audio_bit_rate_per_channel"])]
    return command + ["-movflags", "+faststart", out]


def sound_command(line, profile, out):
    stream = probe(out["ours"], "stream=sample_rate,channels", "a:0")["streams"][0]
    settings = profile["audio"]
    bits = settings["bit_rate"] if stream["channels"] == 1 else settings["stereo_bit_rate"]
    command = [which("ffmpeg"), "-nostdin", "-v", "error", "-y", "-i", line["input"], "-map", "0:a:0", "-c:a", "libmp3lame"]
    command += ["-ar", stream["sample_rate"], "-ac", str(stream["channels"]), "-b:a", str(bits)]
    return command + ["-compression_level", str(settings["compression_level"]), out["theirs"]]


def made(command, work):
    line = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    return line, os.path.join(work, "again", asset(line, "playback")["key"])


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("mediamill")
    arguments.add_argument("corpus")
    arguments.add_argument("--files", type=int, default=20)
    arguments.add_argument("--repeat", type=int, default=3)
    args = arguments.parse_args()
    import tomllib

    here = os.path.dirname(os.path.abspath(__file__))
    with open(os.path.join(here, "../src/config/profiles/crm.toml"), "rb") as text:
        profile = tomllib.load(text)
    failed = []
    with tempfile.TemporaryDirectory() as work:
        out = os.path.join(work, "out")
        run = subprocess.run([args.mediamill, "normalize", args.corpus, "--out", out, "--format", "json"], capture_output=True, text=True)
        lines = sorted((json.loads(line) for line in run.stdout.splitlines()), key=lambda line: line["input"])
        lines = [line for line in lines if line.get("outcome") == "normalized"]
        kept = os.path.join(here, "../fixtures/contact.vcf")
        start = [args.mediamill, "normalize", kept, "--out", os.path.join(work, "start"), "--jobs", "1", "--format", "json"]
        start_cost = min(cpu_of(start) for _ in range(10))
        for kind in ("video", "audio"):
            rows = []
            for line in [line for line in lines if encoded(line, kind, profile["video"]["max_frame_rate"])]:
                if len(rows) == args.files:
                    break
                # One job at a time, with all cores, as the program has them: threads make x264 decide otherwise.
                again = [args.mediamill, "normalize", line["input"], "--out", os.path.join(work, "again"), "--jobs", "1", "--format", "json"]
                line, ours = made(again, work)
                theirs = os.path.join(work, "theirs.mp4" if kind == "video" else "theirs.mp3")
                command = (film_command(line, profile, theirs) if kind == "video"
                           else sound_command(line, profile, {"ours": ours, "theirs": theirs}))
                if command is None:
                    continue
                costs = ([], [])
                for _ in range(args.repeat):
                    costs[0].append(cpu_of(again) - start_cost)
                    costs[1].append(cpu_of(command))
                cost = [min(c) for c in costs]
                # With a limited bit rate, what x264's threads see of each other is a matter of time: the last file counts.
                line, ours = made(again, work)
                select = "v:0" if kind == "video" else "a:0"
                size = [payload(path, select) for path in (ours, theirs)]
                alike = ssim(ours, theirs) if kind == "video" else None
                rows.append((size[0] / size[1], cost[0] / cost[1]))
                name = os.path.relpath(line["input"], args.corpus)
                shown = "" if kind == "audio" else "  other frames" if alike is None else f"  SSIM {alike:.4f}"
                print(f"{name[:60]:<60} size {size[0] / size[1]:.3f}  CPU {cost[0]:.2f} s / {cost[1]:.2f} s = {cost[0] / cost[1]:.2f}{shown}", flush=True)
                if alike is not None and alike < SSIM:
                    failed.append(f"{name}: SSIM {alike}")
            size, cost = (statistics.median(row[n] for row in rows) for n in (0, 1))
            print(f"{kind}: {len(rows)} files, median size {size:.3f}, median CPU {cost:.3f}")
            failed += [f"{kind}: size {size:.3f}"] if size > SIZE else []
            failed += [f"{kind}: CPU {cost:.3f}"] if cost > CPU else []
    print("\n".join(failed) or "all within bounds")
    sys.exit(1 if failed else 0)


main()
