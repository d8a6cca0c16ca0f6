#!/usr/bin/env python3
"""Bytes before and after over a corpus, for each built-in profile, as a table.

    savings.py MEDIAMILL CORPUS

"Before" is the originals, "after" their playback assets; pictures and documents are kept as they are and not counted.
"""

import json
import subprocess
import sys
import tempfile


def main():
    mediamill, corpus = sys.argv[1:]
    listed = subprocess.run([mediamill, "profiles", "--format", "json"], capture_output=True, text=True, check=True)
    print("| profile | kind | files | before | after | saved | copied or remuxed |")
    print("|---|---|--:|--:|--:|--:|--:|")
    for profile in sorted(json.loads(line)["profile"]["name"] for line in listed.stdout.splitlines()):
        with tempfile.TemporaryDirectory() as out:
            command = [mediamill, "normalize", corpus, "--out", out, "--profile", profile, "--format", "json"]
            run = subprocess.run(command, capture_output=True, text=True)
            if run.returncode not in (0, 3):
                sys.exit(run.stderr)
            lines = [json.loads(line) for line in run.stdout.splitlines()]
        for kind in ("audio", "video"):
            made = [line["decision"] for line in lines if line.get("outcome") == "normalized" and line["kind"] == kind]
            before, after = (sum(decision[key] for decision in made) for key in ("bytes_before", "bytes_after"))
            kept = sum(decision["action"] in ("copied", "remuxed") for decision in made)
            saved = 100 * (1 - after / before)
            print(f"| `{profile}` | {kind} | {len(made)} | {before:,} | {after:,} | {saved:.0f} % | {kept} |", flush=True)


main()
