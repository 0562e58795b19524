/**
 * Numbers as people read them.
 * @module
 */

/** At most three digits that matter: 0.04, 1.7, 49.8, 1,234. */
export function figure(value: number): string {
  if (value >= 1000) return Math.round(value).toLocaleString('en');
  if (value >= 100 || Number.isInteger(value)) return String(Math.round(value));
  return value >= 0.095 ? trim(value.toFixed(1)) : trim(value.toPrecision(1));
}

const trim = (text: string): string => text.replace(/\.0+$/, '');

/** `1 stream`, `2 streams`. */
export function count(value: number, one: string, many = `${one}s`): string {
  return `${figure(value)} ${value === 1 ? one : many}`;
}

export function bytes(value: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  let size = value;
  let unit = 0;
  while (size >= 999.5 && unit < units.length - 1) {
    size /= 1000;
    unit += 1;
  }
  return `${figure(unit === 0 ? Math.round(size) : size)} ${units[unit]}`;
}

export function duration(seconds: number): string {
  if (seconds < 100) return `${Math.round(seconds)} s`;
  if (seconds < 6000) return `${Math.round(seconds / 60)} min`;
  return seconds < 172_800 ? `${figure(seconds / 3600)} h` : `${Math.round(seconds / 86_400)} days`;
}

/** Two digits that matter: `80 ms`, `0.23 s`, `1.5 s`. */
export function time(ms: number): string {
  return ms < 100 ? `${figure(Math.round(ms))} ms` : `${Number((ms / 1000).toPrecision(2))} s`;
}

/** A share as percent; never rounded up to all or down to nothing. */
export function percent(share: number): string {
  const value = share * 100;
  if (value <= 0) return '0 %';
  if (value >= 100) return '100 %';
  if (value > 99.5) return '> 99 %';
  if (value >= 1) return `${figure(value >= 10 ? Math.round(value) : value)} %`;
  return value < 0.001 ? '< 0.001 %' : `${Number(value.toPrecision(1))} %`;
}
