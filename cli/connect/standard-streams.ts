/**
 * Couples standard input and output with a connection: bytes both ways at the pace of whoever takes them, each half closed
 * on its own, and a reset distinguished from an end.
 * @module
 */
import { closeSync, openSync } from 'node:fs';
import { MixError } from '../../lib/core/errors.ts';
import { breakOff } from '../../lib/relay/break-off.ts';
import { SocketReader } from '../../lib/relay/socket-reader.ts';
import type { Tunnel } from './tunnel.ts';

export interface StandardStreams {
  readonly input: NodeJS.ReadStream;
  readonly output: NodeJS.WriteStream;
}

/** Resolves when both directions have ended; rejects with RESET when one was broken off, or the output cannot be written. */
export function joinStandardStreams({ socket, early }: Tunnel, { input, output }: StandardStreams): Promise<void> {
  return new Promise((resolve, reject) => {
    const fail = (message: string) => {
      breakOff(socket);
      input.pause();
      // what came before the reset is delivered first
      output.write('', () => reject(new MixError('RESET', message)));
    };
    const finish = () => {
      if (!reader.finished || !socket.writableFinished) return;
      socket.destroy();
      resolve();
    };
    const reader = new SocketReader(socket, {
      onBytes: (bytes) => output.write(bytes),
      onFin: () =>
        output.end(() => {
          closeOutput();
          if (input.isTTY) socket.end(); // nobody types on for a connection that is over
          finish();
        }),
      onReset: () => fail('the connection was broken off'),
    });
    output.on('drain', () => reader.resume());
    output.on('error', () => {
      breakOff(socket);
      reject(new MixError('RESET', 'standard output cannot be written any more'));
    });
    socket.on('error', () => {}); // 'close' follows
    socket.on('close', () => (reader.finished && socket.writableFinished ? finish() : reader.lose()));
    socket.on('drain', () => input.resume());
    socket.on('finish', finish);
    input.on('data', (bytes) => {
      const more = socket.write(bytes, (error) => {
        if (error) reader.lose(error);
      });
      if (!more) input.pause();
    });
    input.on('end', () => socket.end());
    input.on('error', () => fail('standard input cannot be read any more'));
    reader.start(early);
  });
}

/** Node never closes its standard streams, and the reader of a pipe would wait for its end. */
function closeOutput(): void {
  closeSync(1);
  openSync('/dev/null', 'w'); // so that nothing else gets the number
}
