/**
 * `node --import` of this file ties a process to the one that started it: a test that is killed, as tap does when its time
 * is up, runs no teardown, and its network must not stay behind and take the machine from all others.
 */
const CHECK_MS = 500;

const parent = process.ppid;
const check = setInterval(() => {
  if (process.ppid === parent) return;
  clearInterval(check);
  process.kill(process.pid, 'SIGTERM');
}, CHECK_MS).unref();
