/** Whatever a page can try to get past the proxy; what became of it is reported to the site. Runs in a browser. */
const reports = {};
const attempt = async (name, run) => {
  try {
    reports[name] = String(await run());
  } catch (error) {
    reports[name] = String(error);
  }
};
const get = (url) => fetch(url, { mode: 'no-cors' }).then(() => 'answered');
const event = (target, ...names) =>
  new Promise((resolve) => {
    for (const name of names) target.addEventListener(name, () => resolve(name));
  });
const webrtc = async () => {
  const turn = (query) => ({ urls: `turn:${STUN}:3478${query}`, username: 'a', credential: 'b' });
  const iceServers = [{ urls: `stun:${STUN}:3478` }, { urls: 'stun:stun.test:3478' }, turn(''), turn('?transport=tcp')];
  const peer = new RTCPeerConnection({ iceServers });
  const candidates = [];
  peer.addEventListener('icecandidate', ({ candidate }) => candidates.push(candidate?.candidate ?? ''));
  peer.createDataChannel('channel');
  await peer.setLocalDescription(await peer.createOffer());
  while (peer.iceGatheringState !== 'complete') await event(peer, 'icegatheringstatechange');
  return candidates.filter((text) => text !== '').join();
};
const image = new Image();
const loaded = event(image, 'load', 'error');
image.src = 'http://image.test/picture';
const tries = {
  fetch: () => get('http://fetched.test/'),
  image: () => loaded,
  https: () => get('https://secure.test/'),
  socket: () => event(new WebSocket('ws://socket.test/'), 'open', 'close'),
  beacon: () => navigator.sendBeacon('http://beacon.test/'),
  stranger: () => get(`http://${STRANGER}/`),
  stranger6: () => get(`http://[${STRANGER_6}]/`),
  loopback: () => get(`http://127.0.0.1:${port}/direct`),
  loopback6: () => get(`http://[::1]:${port}/direct`),
  localhost: () => get(`http://localhost:${port}/direct`),
  subdomain: () => get(`http://a.localhost:${port}/direct`),
  webrtc,
  cast: () => document.querySelector('video').remote.watchAvailability(() => {}),
};
Promise.all(Object.entries(tries).map(([name, run]) => attempt(name, run))).then(() =>
  fetch('/report', { method: 'POST', body: JSON.stringify({ ...reports, done: 'yes' }) }),
);
