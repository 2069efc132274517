// Decides: what a test's own name server answers, over UDP on loopback, and how it is asked.
import { createSocket, type Socket } from 'node:dgram';
import { Resolver as NodeResolver } from 'node:dns/promises';
import { once } from 'node:events';
import { isIP } from 'node:net';
import { type Resolver, systemResolver } from '@rpc-balancer/shared';
import { type Answer, AUTHORITATIVE_ANSWER, type DecodedPacket, decode, encode } from 'dns-packet';

/** RFC 1035 section 4.1.1: "Name Error". */
const NXDOMAIN = 3;

/** Often enough that a test waits for nothing else. */
const INTERVAL_MS = 20;

export interface FakeDns {
  /** From now on the name has these addresses; without any it does not exist. */
  set(name: string, ...addresses: readonly string[]): void;
  /** How often it has been asked for a name; twice each time, once for each family of addresses. */
  asked(name: string): number;
  /** Asks this server, and the system for names that it was never told of. */
  readonly resolver: Resolver;
  stop(): Promise<void>;
}

export async function startDns(): Promise<FakeDns> {
  const names = new Map<string, readonly string[]>();
  const counts = new Map<string, number>();
  const socket = createSocket('udp4');
  socket.on('message', (message, { port, address }) => {
    const packet = decode(message);
    const name = packet.questions?.[0]?.name ?? '';
    counts.set(name, (counts.get(name) ?? 0) + 1);
    socket.send(answerTo(packet, names.get(name) ?? []), port, address);
  });
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  const asked = new NodeResolver({ timeout: 1000, tries: 2 });
  asked.setServers([`127.0.0.1:${socket.address().port}`]);
  return {
    set: (name, ...addresses) => names.set(name, addresses),
    asked: (name) => counts.get(name) ?? 0,
    resolver: {
      intervalMs: INTERVAL_MS,
      async resolve(name) {
        if (!names.has(name)) return systemResolver.resolve(name);
        const answers = await Promise.allSettled([asked.resolve4(name), asked.resolve6(name)]);
        return answers.flatMap((answer) => (answer.status === 'fulfilled' ? answer.value : []));
      },
    },
    stop: () => closed(socket),
  };
}

function answerTo({ id = 0, questions = [] }: DecodedPacket, addresses: readonly string[]): Buffer {
  const [question] = questions;
  const type = question?.type === 'AAAA' ? 'AAAA' : 'A';
  const fitting = addresses.filter((address) => isIP(address) === (type === 'A' ? 4 : 6));
  const answers: Answer[] = fitting.map((data) => ({ type, name: question?.name ?? '', ttl: 0, data }));
  const flags = AUTHORITATIVE_ANSWER | (addresses.length === 0 ? NXDOMAIN : 0);
  return encode({ type: 'response', id, flags, questions, answers });
}

async function closed(socket: Socket): Promise<void> {
  socket.close();
  await once(socket, 'close');
}
