#!/usr/bin/env bash
# Synthesises every file of fixtures/ anew. They are committed: run this only to change them.
# Needs espeak-ng, sox with libsox-fmt-base (AMR), the ffmpeg program (5.1 is what they were made with) and python3.
# Nothing here is anybody's.
set -euo pipefail
cd "$(dirname "$0")/../fixtures"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

ff() { ffmpeg -nostdin -hide_banner -loglevel error -y "$@"; }
exact=(-fflags +bitexact -flags:v +bitexact -flags:a +bitexact)
x264=(-c:v libx264 -preset medium -pix_fmt yuv420p -threads 1)

# ---- what is heard and seen -------------------------------------------------------------------------------------
espeak-ng -v en-gb -s 150 -w "$work/note.wav" \
  "Hello, this is Ada from the second floor. The heating in the meeting room has been making a loud noise since this
   morning, a kind of rattle, and it gets worse when the window is open. Could somebody have a look at it before the
   meeting at three? I have sent a picture and a short video as well. Thank you, and see you later."
espeak-ng -v en-gb -s 165 -w "$work/short.wav" "Look, this is the noise that I mean. It starts right here."
# A scene with an up and a down: a white corner at the top left, a clock hand's worth of movement, soft colours.
scene() { # width height seconds rate
  local w=$1 h=$2
  echo "gradients=s=${w}x${h}:r=$4:d=$3:c0=0x16324f:c1=0x18a999:c2=0xf7b267:nb_colors=3:seed=7:speed=0.03[back];
        testsrc2=s=$((w / 5 * 2))x$((h / 5 * 2)):r=$4:d=$3[clock];
        [back][clock]overlay=x='$((w / 10))+$((w / 5))*(1+sin(3*t))':y=$((h / 3)),
        drawbox=x=0:y=0:w=$((w / 5)):h=$((h / 5)):c=white:t=fill,format=yuv420p"
}
tune="sine=f=220:d=6[a];sine=f=277:d=6[b];sine=f=330:d=6[c];[a][b][c]amix=3,tremolo=f=3:d=0.6[m];
      [m]asplit[l][r];[r]adelay=120[r2];[l][r2]join=inputs=2:channel_layout=stereo,volume=0.6"

# ---- voice and sound --------------------------------------------------------------------------------------------
# A chat's voice note: Opus, mono, 16 kHz speech at 16 kbit/s.
ff -i "$work/note.wav" -ar 16000 -ac 1 -c:a libopus -b:a 16k -application voip "${exact[@]}" voice-note.ogg
# An old phone's: AMR narrow band, bare and in 3GP.
sox -R -v 0.7 "$work/short.wav" -r 8000 -c 1 -C 7 -t amr-nb voice-amr.amr
ff -i voice-amr.amr -c copy "${exact[@]}" -f 3gp voice-amr.3gp
# A recorder app's, with its owner's name and place, which no output may carry.
ff -i "$work/note.wav" -ar 44100 -ac 1 -c:a aac -b:a 64k "${exact[@]}" -movflags use_metadata_tags \
  -metadata title="New recording 3" -metadata artist="Ada Fixture" -metadata location="+52.3702+004.8952/" \
  -metadata com.apple.quicktime.make="Phonemaker" -metadata creation_time=2026-03-04T05:06:07Z memo.m4a
# Music with tags: stereo MP3 above every small profile. And speech that already is as the crm profile wants it.
ff -filter_complex "$tune" -ar 44100 -c:a libmp3lame -b:a 192k "${exact[@]}" \
  -metadata title="Fixture tune" -metadata artist="Ada Fixture" music.mp3
ff -i "$work/note.wav" -af "loudnorm=I=-16:TP=-2" -ar 24000 -ac 1 -c:a libmp3lame -b:a 40k "${exact[@]}" speech.mp3
# Uncompressed, as desktop recorders write it.
ff -i "$work/short.wav" -ar 16000 -ac 1 -c:a pcm_s16le "${exact[@]}" dictation.wav

# ---- video ------------------------------------------------------------------------------------------------------
# A phone held upright: coded lying, turned by the display matrix; owner and place in its metadata.
ff -f lavfi -i "$(scene 1080 1920 3 30),transpose=1" -i "$work/short.wav" -t 3 "${x264[@]}" -crf 30 -g 60 \
  -c:a aac -ar 44100 -ac 1 -b:a 64k "${exact[@]}" "$work/lying.mp4"
ff -i "$work/lying.mp4" -c copy -metadata:s:v:0 rotate=90 -metadata location="+52.3702+004.8952/" \
  -metadata artist="Ada Fixture" -metadata creation_time=2026-03-04T05:06:07Z "${exact[@]}" phone-portrait.mp4
# A newer phone: HEVC, 10 bit, HLG.
ff -f lavfi -i "$(scene 1280 720 2 30)" -i "$work/short.wav" -t 2 -c:v libx265 -preset medium -pix_fmt yuv420p10le \
  -x265-params "log-level=none:crf=30:colorprim=bt2020:transfer=arib-std-b67:colormatrix=bt2020nc:pools=none:frame-threads=1" \
  -color_primaries bt2020 -color_trc arib-std-b67 -colorspace bt2020nc -color_range tv -tag:v hvc1 \
  -c:a aac -ar 48000 -ac 2 -b:a 64k "${exact[@]}" hdr-hlg.mov
# A browser's recorder: VP8 and Opus, streamed, so that no duration stands anywhere.
ff -f lavfi -i "$(scene 640 480 4 30)" -i "$work/note.wav" -t 4 -c:v libvpx -b:v 300k -deadline good -cpu-used 4 \
  -threads 1 -c:a libopus -b:a 32k "${exact[@]}" -f webm -live 1 - > browser.webm
# Already as it should be: 480p, H.264 High and AAC in MP4, index first. Copied by the crm profile.
ff -f lavfi -i "$(scene 848 480 12 25)" -i "$work/note.wav" -t 12 "${x264[@]}" -profile:v high -level 3.1 -crf 33 -g 75 \
  -color_primaries bt709 -color_trc bt709 -colorspace bt709 -color_range tv \
  -c:a aac -ar 44100 -ac 1 -b:a 48k -movflags +faststart "${exact[@]}" conforming.mp4
# Its streams in another container: only the container has to be written anew.
ff -t 5 -i conforming.mp4 -c copy "${exact[@]}" remux.mkv
# White flash and 1 kHz beep on every whole second for a minute; 50 frames a second, so that every profile encodes it.
ff -f lavfi -i "color=black:s=320x240:r=50:d=60,drawbox=c=white:t=fill:enable='lt(mod(t\,1)\,0.039)'" \
  -f lavfi -i "aevalsrc='0.8*sin(2*PI*1000*t)*lt(mod(t,1),0.04)':s=48000:d=60" \
  "${x264[@]}" -crf 30 -g 250 -c:a aac -b:a 64k "${exact[@]}" flash-beep.mkv
# A chat's "GIF": MP4 without sound; and a GIF, of odd size.
ff -f lavfi -i "$(scene 320 240 2 15)" "${x264[@]}" -crf 32 -an -movflags +faststart "${exact[@]}" silent-loop.mp4
ff -f lavfi -i "$(scene 161 121 2 10),split[a][b];[a]palettegen[p];[b][p]paletteuse" "${exact[@]}" animation.gif
# Cut off before its index: nothing of it can be played.
head -c 60000 "$work/lying.mp4" > truncated.mp4

# ---- pictures ---------------------------------------------------------------------------------------------------
ff -f lavfi -i "$(scene 720 960 1 1),transpose=2" -frames:v 1 -q:v 5 -pix_fmt yuvj420p "${exact[@]}" "$work/lying.jpg"
ff -f lavfi -i "$(scene 400 300 1 1),format=rgba,colorchannelmixer=aa=0.7" -frames:v 1 "${exact[@]}" picture.png
ff -f lavfi -i "$(scene 480 360 1 1)" -frames:v 1 -c:v libwebp -quality 60 "${exact[@]}" picture.webp
ff -f lavfi -i "$(scene 128 128 1 8),format=rgba" -c:v libwebp_anim -quality 50 -loop 0 "${exact[@]}" sticker.webp

# ---- what else people attach ------------------------------------------------------------------------------------
WORK=$work python3 - <<'PYTHON'
import os, random, struct, zipfile

def entry(tag, kind, count, value):
    return struct.pack(">HHI", tag, kind, count) + value

def exif(orientation):
    """Exif APP1 (Exif 2.32, 4.5): orientation, artist, and a GPS position; big endian."""
    artist = b"Ada Fixture\0"
    ifd0_at, ifd0_entries = 8, 3
    artist_at = ifd0_at + 2 + 12 * ifd0_entries + 4
    gps_at = artist_at + len(artist)
    ifd0 = struct.pack(">H", ifd0_entries)
    ifd0 += entry(0x0112, 3, 1, struct.pack(">HH", orientation, 0))
    ifd0 += entry(0x013B, 2, len(artist), struct.pack(">I", artist_at))
    ifd0 += entry(0x8825, 4, 1, struct.pack(">I", gps_at)) + struct.pack(">I", 0)
    data_at = gps_at + 2 + 12 * 4 + 4
    gps = struct.pack(">H", 4)
    gps += entry(1, 2, 2, b"N\0\0\0") + entry(2, 5, 3, struct.pack(">I", data_at))
    gps += entry(3, 2, 2, b"E\0\0\0") + entry(4, 5, 3, struct.pack(">I", data_at + 24)) + struct.pack(">I", 0)
    gps += struct.pack(">6I", 52, 1, 22, 1, 13, 1) + struct.pack(">6I", 4, 1, 53, 1, 43, 1)
    payload = b"Exif\0\0MM\0*" + struct.pack(">I", ifd0_at) + ifd0 + artist + gps
    return b"\xff\xe1" + struct.pack(">H", len(payload) + 2) + payload

lying = open(os.environ["WORK"] + "/lying.jpg", "rb").read()
open("photo-exif.jpg", "wb").write(lying[:2] + exif(6) + lying[2:])

def pdf(text):
    stream = f"BT /F1 24 Tf 72 720 Td ({text}) Tj ET".encode()
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R"
        b" /Resources << /Font << /F1 << /Type /Font /Subtype /Type1 /BaseFont /Helvetica >> >> >> >>",
        b"<< /Length %d >>\nstream\n" % len(stream) + stream + b"\nendstream",
    ]
    out, offsets = b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n", []
    for number, body in enumerate(objects, 1):
        offsets.append(len(out))
        out += b"%d 0 obj\n" % number + body + b"\nendobj\n"
    xref = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    out += b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    return out + b"trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, xref)

open("invoice.pdf", "wb").write(pdf("Invoice 42: one radiator valve"))
open("contact.vcf", "w", newline="").write(
    "BEGIN:VCARD\r\nVERSION:3.0\r\nN:Fixture;Ada;;;\r\nFN:Ada Fixture\r\nTEL;TYPE=CELL:+31 20 000 0000\r\nEND:VCARD\r\n")
open("note.txt", "w").write("The heating rattles. Second floor, meeting room.\nGrüße, Ada\n")
with zipfile.ZipFile("letter.docx", "w", zipfile.ZIP_DEFLATED) as docx:
    for name, body in {
        "[Content_Types].xml": '<?xml version="1.0"?><Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"><Default Extension="xml" ContentType="application/xml"/><Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/><Override PartName="/word/document.xml" ContentType="application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml"/></Types>',
        "_rels/.rels": '<?xml version="1.0"?><Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Id="r1" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument" Target="word/document.xml"/></Relationships>',
        "word/document.xml": '<?xml version="1.0"?><w:document xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"><w:body><w:p><w:r><w:t>The heating rattles.</w:t></w:r></w:p></w:body></w:document>',
    }.items():
        docx.writestr(zipfile.ZipInfo(name, (2026, 1, 1, 0, 0, 0)), body)
random.seed(42)
open("garbage.bin", "wb").write(b"\x07" + random.randbytes(4095))
PYTHON

du -cb -- * | tail -1
