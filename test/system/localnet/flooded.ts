/**
 * A host floods the listeners of a network that runs: others are served, nodes that restart meanwhile rejoin, and a new proxy
 * gets its first page.
 * @module
 */
import { mkdirSync } from 'node:fs';
import { get } from 'node:http';
import { join } from 'node:path';
import { connect as connectTls } from 'node:tls';
import type { Test } from 'tap';
import { PEER_OPTIONS } from '../../../lib/link/tls.ts';
import { splitHostPort } from '../../../lib/net/address.ts';
import { Flood } from '../../support/flood.ts';
import { MAIN, until } from '../../support/localnet.ts';
import { curl } from '../../support/web.ts';
import type { LocalNetwork } from './world.ts';

/** One of each role that listens for others. */
const FLOODED = ['directory-1', 'mix-2-1', 'gateway-2'];
const RESTARTED = ['mix-2-1', 'gateway-2'];
const CONNECTIONS = 1200;
/** On each listener: what is closed is soon there again, and the processor is not all taken by the flood itself. */
const RENEWALS_PER_SECOND = 300;
/** Honest hosts that ask each listener. */
const HOSTS = 5;
/** Generous: how long it takes is not what is tested. */
const TIMEOUT_MS = 120_000;

export async function nodesAreFlooded(t: Test, { network, web }: LocalNetwork): Promise<void> {
  const floods = new Map<string, Flood>();
  for (const name of FLOODED) {
    const { host = '', port = 0 } = splitHostPort(network.node(name).listen) ?? {};
    const flood = { host, port, count: CONNECTIONS, renewalsPerSecond: RENEWALS_PER_SECOND };
    floods.set(name, await Flood.start(t, flood));
  }
  await reachable(t, network, 'while all run');
  await Promise.all(RESTARTED.map((name) => network.kill(name)));
  const startMs = performance.now();
  const seconds = () => ((performance.now() - startMs) / 1000).toFixed(1);
  await Promise.all(RESTARTED.map((name) => network.restart(name)));
  const socks = await newProxy(t, network);
  const page = async () => (await curl(socks, [`${web.url}/`], 30)).code === 0;
  await until('the first page of a new proxy', TIMEOUT_MS, page);
  t.comment(`a new proxy has its first page after ${seconds()} s`);
  for (const name of RESTARTED) {
    const forwarded = () => network.metric(name, 'mixsocks_packets_forwarded_total');
    await until(`${name} forwards again`, TIMEOUT_MS, async () => (await forwarded()) > 0);
    t.comment(`${name} forwards packets after ${seconds()} s`);
  }
  await reachable(t, network, 'after the restart');
  for (const [name, flood] of floods) {
    await until(`a connection to ${name} is closed, and renewed`, TIMEOUT_MS, () => flood.opened > CONNECTIONS);
    t.pass(`${name}: ${flood.opened} connections`);
  }
}

/** Every flooded listener serves each of some hosts at its first try. */
async function reachable(t: Test, network: LocalNetwork['network'], when: string): Promise<void> {
  const served = async (name: string) => {
    const { host = '', port = 0 } = splitHostPort(network.node(name).listen) ?? {};
    const answers = name === 'directory-1' ? answersHttp : answersTls;
    let count = 0;
    for (let n = 0; n < HOSTS; n++) count += Number(await answers({ host, port, localAddress: `127.3.0.${n + 1}` }));
    t.equal(count, HOSTS, `${name} ${when}`);
  };
  await Promise.all(FLOODED.map(served));
}

type From = { readonly host: string; readonly port: number; readonly localAddress: string };

/** Whether a node answers a TLS handshake, without asking for more. */
function answersTls(from: From): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connectTls({ ...from, ...PEER_OPTIONS });
    socket.on('error', () => {}).once('close', () => resolve(false));
    socket.once('secureConnect', () => {
      resolve(true);
      socket.destroy();
    });
  });
}

function answersHttp(from: From): Promise<boolean> {
  return new Promise((resolve) => {
    const request = get({ ...from, path: '/consensus', agent: false }, (response) => {
      resolve(response.statusCode === 200);
      request.destroy();
    });
    request.on('error', () => resolve(false));
  });
}

/** Another proxy of the network; resolves with the address of its SOCKS port. */
async function newProxy(t: Test, network: LocalNetwork['network']): Promise<string> {
  const dir = join(t.testdir(), 'proxy-2');
  mkdirSync(dir);
  const files = ['--dir', dir, '--network-file', network.ready.network];
  const ports = ['--socks-listen', '127.0.0.1:0', '--status-listen', '127.0.0.1:0'];
  const text = await network.run('proxy-2', [MAIN, 'proxy', ...files, ...ports, '--allow-private']);
  return /listening (\S+),/.exec(text)?.[1] ?? '';
}
