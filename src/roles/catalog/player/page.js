"use strict";
for (const time of document.querySelectorAll("time")) {
  const at = new Date(time.dateTime);
  if (!Number.isNaN(at.getTime())) time.textContent = at.toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" });
}
const clock = (s) => {
  s = Math.max(0, Math.floor(s || 0));
  const two = (n) => String(n).padStart(2, "0");
  return s >= 3600 ? `${Math.floor(s / 3600)}:${two(Math.floor(s / 60) % 60)}:${two(s % 60)}` : `${Math.floor(s / 60)}:${two(s % 60)}`;
};
/* A link of the store that has ended in the middle: the page's own link is asked for a new one, and playing goes on where it was. */
const mend = (media, say) => {
  let tries = 0, at = 0, wasPlaying = false;
  media.addEventListener("timeupdate", () => { if (media.currentTime > 0) at = media.currentTime; });
  media.addEventListener("playing", () => { wasPlaying = true; tries = 0; say(""); });
  media.addEventListener("pause", () => { if (!media.error) wasPlaying = false; });
  media.addEventListener("error", () => {
    if (tries >= 4) return say("This cannot be played now. Reload the page to try again.");
    tries += 1;
    const back = at, go = wasPlaying;
    setTimeout(() => {
      media.addEventListener("loadedmetadata", () => {
        media.currentTime = back;
        if (go) media.play().catch(() => {});
      }, { once: true });
      media.load();
    }, 300 * 2 ** tries);
  });
};
const player = document.querySelector(".player");
if (player) {
  const audio = player.querySelector("audio"), own = player.querySelector(".own"), wave = player.querySelector(".wave");
  const canvas = player.querySelector("canvas"), play = player.querySelector(".play"), speed = player.querySelector(".speed");
  const now = player.querySelector(".now"), trouble = player.querySelector(".trouble");
  const bars = player.dataset.bars ? player.dataset.bars.split(",").map(Number) : Array(120).fill(30);
  const known = Number(player.dataset.ms) / 1000;
  const length = () => (Number.isFinite(audio.duration) && audio.duration > 0 ? audio.duration : known);
  audio.controls = false;
  audio.hidden = true;
  own.hidden = false;
  const draw = () => {
    const ratio = devicePixelRatio || 1, { width, height } = wave.getBoundingClientRect();
    canvas.width = width * ratio;
    canvas.height = height * ratio;
    const paint = canvas.getContext("2d"), style = getComputedStyle(document.documentElement);
    const count = Math.max(1, Math.min(bars.length, Math.floor(width / 3))), step = canvas.width / count;
    const done = length() ? audio.currentTime / length() : 0;
    for (let n = 0; n < count; n += 1) {
      const from = Math.floor((n * bars.length) / count), to = Math.max(from + 1, Math.floor(((n + 1) * bars.length) / count));
      const high = Math.max(0.04, Math.max(...bars.slice(from, to)) / 100) * canvas.height;
      paint.fillStyle = style.getPropertyValue((n + 0.5) / count <= done ? "--accent" : "--wave");
      paint.fillRect(n * step, (canvas.height - high) / 2, Math.max(1, step * 0.66), high);
    }
  };
  const show = () => {
    now.textContent = clock(audio.currentTime);
    wave.setAttribute("aria-valuemax", Math.round(length()));
    wave.setAttribute("aria-valuenow", Math.round(audio.currentTime));
    wave.setAttribute("aria-valuetext", `${clock(audio.currentTime)} of ${clock(length())}`);
    draw();
  };
  const seek = (s) => { audio.currentTime = Math.min(Math.max(0, s), Math.max(0, length() - 0.05)); show(); };
  const toggle = () => (audio.paused ? audio.play().catch(() => {}) : audio.pause());
  const paused = () => {
    player.classList.toggle("playing", !audio.paused);
    play.setAttribute("aria-label", audio.paused ? "Play" : "Pause");
  };
  play.addEventListener("click", toggle);
  speed.addEventListener("change", () => { audio.playbackRate = audio.defaultPlaybackRate = Number(speed.value); });
  for (const name of ["play", "pause", "ended"]) audio.addEventListener(name, paused);
  for (const name of ["timeupdate", "loadedmetadata", "seeked"]) audio.addEventListener(name, show);
  const point = (event) => {
    const { left, width } = wave.getBoundingClientRect();
    seek(((event.clientX - left) / width) * length());
  };
  wave.addEventListener("pointerdown", (event) => { wave.setPointerCapture(event.pointerId); point(event); });
  wave.addEventListener("pointermove", (event) => { if (event.buttons) point(event); });
  wave.addEventListener("keydown", (event) => {
    const jump = { ArrowRight: 5, ArrowUp: 5, ArrowLeft: -5, ArrowDown: -5, PageUp: 30, PageDown: -30 }[event.key];
    if (jump) seek(audio.currentTime + jump);
    else if (event.key === "Home") seek(0);
    else if (event.key === "End") seek(length());
    else return;
    event.preventDefault();
  });
  document.addEventListener("keydown", (event) => {
    if (event.key !== " " || event.target.closest("button,select,input,a")) return;
    event.preventDefault();
    toggle();
  });
  mend(audio, (text) => { trouble.textContent = text; });
  addEventListener("resize", draw);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  show();
} else {
  for (const media of document.querySelectorAll("audio,video")) mend(media, () => {});
}
