'use strict';
const buttons = [...document.querySelectorAll('button[data-show]')];
const cards = [...document.querySelectorAll('article')];
for (const button of buttons) {
  button.addEventListener('click', () => {
    for (const other of buttons) other.setAttribute('aria-pressed', String(other === button));
    for (const card of cards) card.hidden = button.dataset.show !== '' && card.dataset.mark !== button.dataset.show;
  });
}
for (const sound of document.querySelectorAll('.sound')) {
  const audio = sound.querySelector('audio');
  const wave = sound.querySelector('.wave');
  if (!wave) continue;
  audio.addEventListener('timeupdate', () => {
    const played = audio.duration > 0 ? audio.currentTime / audio.duration : 0;
    wave.style.setProperty('--played', `${played * 100}%`);
  });
  wave.addEventListener('click', event => {
    const box = wave.getBoundingClientRect();
    const go = () => {
      audio.currentTime = (event.clientX - box.left) / box.width * audio.duration;
      audio.play();
    };
    if (audio.readyState > 0) go();
    else { audio.addEventListener('loadedmetadata', go, { once: true }); audio.load(); }
  });
}
// One sound at a time.
document.addEventListener('play', event => {
  for (const other of document.querySelectorAll('audio, video')) if (other !== event.target) other.pause();
}, true);
