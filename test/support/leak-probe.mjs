/**
 * A program that ignores every proxy: `node leak-probe.mjs JSON` tries what JSON names (`tcp`, `udp`: [host, port]; `unix`:
 * paths; `lookup`: names) in itself, and in a child of a child in a session of its own. Prints what it reached, a line each.
 */
import { spawn } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { lookup } from 'node:dns/promises';
import { connect } from 'node:net';

const [plan = '{}', who = 'itself'] = process.argv.slice(2);
const { tcp = [], udp = [], unix = [], names = [] } = JSON.parse(plan);
const said = (what) => process.stdout.write(`${who} reached ${what}\n`);

function connected(target, what) {
  return new Promise((resolve) => {
    const socket = connect(target, () => {
      said(what);
      socket.destroy();
    });
    socket.setTimeout(5000, () => socket.destroy());
    socket.on('error', () => {});
    socket.on('close', resolve);
  });
}

function sent([host, port]) {
  return new Promise((resolve) => {
    const socket = createSocket('udp4');
    socket.send(`from ${who}`, port, host, () => socket.close(resolve));
  });
}

await Promise.all([
  ...tcp.map(([host, port]) => connected({ host, port }, `tcp ${host}`)),
  ...unix.map((path) => connected({ path }, `unix ${path}`)),
  ...udp.map(sent),
  ...names.map((name) =>
    lookup(name)
      .then(() => said(`name ${name}`))
      .catch(() => {}),
  ),
]);

const next = { itself: 'child', child: 'grandchild' }[who];
if (next !== undefined) {
  const options = { stdio: 'inherit', detached: true };
  const child = spawn(process.execPath, [process.argv[1], plan, next], options);
  await new Promise((resolve) => child.on('close', resolve));
}
if (who === 'itself') process.stdout.write('tried\n');
