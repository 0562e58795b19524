/** Ends with 0 when `http://127.0.0.1:PORT/PATH` answers 200: `node healthy.mjs PORT [readyz]`. */
const [port, path = 'readyz'] = process.argv.slice(2);
const url = `http://127.0.0.1:${port}/${path}`;
const answer = await fetch(url, { signal: AbortSignal.timeout(4000) }).catch(() => undefined);
process.exitCode = answer?.ok ? 0 : 1;
