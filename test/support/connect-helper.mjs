/**
 * A ProxyCommand for ssh as people write it: `node connect-helper.mjs PROXY-HOST PROXY-PORT HOST PORT` opens a tunnel by
 * HTTP CONNECT and copies both ways.
 */
import { connect } from 'node:net';

const [proxyHost, proxyPort, host, port] = process.argv.slice(2);
const socket = connect({ host: proxyHost, port: Number(proxyPort), allowHalfOpen: true });
socket.write(`CONNECT ${host}:${port} HTTP/1.1\r\nHost: ${host}:${port}\r\n\r\n`);
let head = Buffer.alloc(0);
socket.on('data', function onHead(part) {
  head = Buffer.concat([head, part]);
  const end = head.indexOf('\r\n\r\n');
  if (end < 0) return;
  socket.off('data', onHead);
  if (!head.toString('latin1').startsWith('HTTP/1.1 200 ')) {
    process.stderr.write(head.toString('latin1').split('\r\n', 1)[0]);
    process.exit(1);
  }
  process.stdout.write(head.subarray(end + 4));
  socket.on('data', (bytes) => process.stdout.write(bytes));
  socket.on('end', () => process.exit());
  process.stdin.pipe(socket);
});
