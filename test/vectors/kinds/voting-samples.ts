/**
 * The votes in the vectors of the directory, and what several ballots come to.
 * @module
 */
import { fixedHex, type Json } from '../kind.ts';
import { identityOf, PARAMS } from './directory-samples.ts';

type Fields = Readonly<Record<string, Json>>;

const digest = (label: string) => fixedHex(`digest of ${label}`);

/** A ballot that lists nodes by label, each with the descriptor of a label. */
function ballot(nodes: Readonly<Record<string, string>>, params: Fields = {}, extra: Fields = {}): Fields {
  const lines = Object.entries(nodes).map(([node, which]) => [identityOf(node), digest(which)]);
  return { version: 2, params: { ...PARAMS, ...params }, nodes: lines.sort(), ...extra };
}

const previous = (label: string) => ({ previous: { epoch: 499_999, digest: digest(label) } });
const EVERY = { 'mix 1': 'm', 'gateway 1': 'g' };

export const VOTES: Readonly<Record<string, Json>> = {
  'attempt 0': {
    seed: fixedHex('authority alice'),
    networkId: fixedHex('a network'),
    epoch: 500_000,
    attempt: 0,
    ballot: ballot(EVERY, {}, previous('consensus')),
  },
  'no node and no consensus before': {
    seed: fixedHex('authority bob'),
    networkId: fixedHex('a network'),
    epoch: 0,
    attempt: 17,
    ballot: ballot({}),
  },
};

const four = (...ballots: readonly Fields[]): Json => ({ authorities: 4, threshold: 3, ballots });

export const MERGERS: Readonly<Record<string, Json>> = {
  'four ballots that agree': four(...[1, 2, 3, 4].map(() => ballot(EVERY, {}, previous('consensus')))),
  'a node on two of four, one on three': four(
    ballot({ 'mix 1': 'm', 'mix 2': 'n' }),
    ballot({ 'mix 1': 'm', 'mix 2': 'n' }),
    ballot({ 'mix 1': 'm' }),
    ballot({}),
  ),
  'two descriptors of one node, as many votes each': four(
    ballot({ 'mix 1': 'old' }),
    ballot({ 'mix 1': 'new' }),
    ballot({ 'mix 1': 'old' }),
    ballot({ 'mix 1': 'new' }),
  ),
  'a descriptor on each vote': four(...['a', 'b', 'c'].map((which) => ballot({ 'mix 1': which }))),
  'medians, and a consensus before that three name': four(
    ballot(EVERY, { meanDelayMs: 600_000, nodeLoopRate: 0 }, previous('another')),
    ballot(EVERY, { meanDelayMs: 40, nodeLoopRate: 5 }, previous('consensus')),
    ballot(EVERY, { meanDelayMs: 41.5, nodeLoopRate: 10 }, previous('consensus')),
    ballot(EVERY, { meanDelayMs: 42, nodeLoopRate: 10 }, previous('consensus')),
  ),
  'two of three ballots name the consensus before': four(
    ballot(EVERY),
    ballot(EVERY, {}, previous('consensus')),
    ballot(EVERY, {}, previous('consensus')),
  ),
  'too few ballots': four(ballot(EVERY), ballot(EVERY)),
};
