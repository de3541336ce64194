// The curve moves the video of its recording, and shows where the video is.
const playerOf = curve => curve.closest('.recording').querySelector('.skeletons video');

function jump(curve, frame) {
  const player = playerOf(curve);
  if (!player) return;
  player.pause();
  player.currentTime = (frame + .5) / curve.dataset.fps;
  mark(curve, frame);
}

function mark(curve, frame) {
  const plot = curve.querySelector('.plot'), total = Number(plot.dataset.frames);
  plot.setAttribute('aria-valuenow', Math.round(frame));
  plot.querySelector('i').style.left = `${100 * Math.min((frame + .5) / total, 1)}%`;
}

document.addEventListener('click', event => {
  const moment = event.target.closest('.curve .moment'), plot = event.target.closest('.curve .plot');
  if (moment) jump(moment.closest('.curve'), Number(moment.dataset.frame));
  if (!plot) return;
  const box = plot.getBoundingClientRect();
  const frame = Math.floor((event.clientX - box.left) / box.width * plot.dataset.frames);
  jump(plot.closest('.curve'), Math.min(Math.max(frame, 0), plot.dataset.frames - 1));
});

document.addEventListener('keydown', event => {
  const plot = event.target.closest && event.target.closest('.curve .plot');
  const step = {ArrowLeft: -1, ArrowRight: 1}[event.key];
  if (!plot || !step) return;
  event.preventDefault();
  const frame = Number(plot.getAttribute('aria-valuenow')) + step;
  jump(plot.closest('.curve'), Math.min(Math.max(frame, 0), plot.dataset.frames - 1));
});

document.addEventListener('timeupdate', event => {
  const recording = event.target.closest('.recording');
  for (const curve of recording ? recording.querySelectorAll('.curve') : [])
    mark(curve, event.target.currentTime * curve.dataset.fps - .5);
}, true);
