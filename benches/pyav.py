#!/usr/bin/env python3
"""What a team with Python writes: PyAV in a pool of processes that stay, one decode for facts, MP3 and peaks.

    pyav.py AT_A_TIME OUT INPUT...
"""

import json
import multiprocessing
import os
import sys

import av
import numpy


def job(task):
    path, out = task
    with av.open(path) as source, av.open(out + ".mp3", "w") as target:
        stream = source.streams.audio[0]
        facts = {"codec": stream.codec_context.name, "duration": float(source.duration or 0) / av.time_base,
                 "rate": stream.rate, "channels": stream.codec_context.channels}
        mp3 = target.add_stream("libmp3lame", rate=24000, layout="mono")
        mp3.bit_rate = 40_000
        resampler = av.AudioResampler("fltp", "mono", 24000)
        pieces = []
        for frame in source.decode(stream):
            for piece in resampler.resample(frame):
                pieces.append(piece.to_ndarray()[0])
                target.mux(mp3.encode(piece))
        target.mux(mp3.encode(None))
    samples = numpy.concatenate(pieces)
    whole = samples[: len(samples) // 1200 * 1200].reshape(-1, 1200)
    with open(out + ".json", "w") as text:
        json.dump({"facts": facts, "min": whole.min(1).tolist(), "max": whole.max(1).tolist()}, text)


def main():
    at_a_time, out, inputs = int(sys.argv[1]), sys.argv[2], sys.argv[3:]
    with multiprocessing.Pool(at_a_time) as pool:
        pool.map(job, [(path, os.path.join(out, f"job-{n}")) for n, path in enumerate(inputs)], chunksize=1)


if __name__ == "__main__":
    main()
