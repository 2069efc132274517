// Decides: how events of the cluster reach this process: one connection, one channel.
// Must not know: what an event causes.
import type { Redis } from 'ioredis';
import { decodeEvent, type StoreEvent } from '../../wire/events.ts';
import type { Client } from './client.ts';
import { createEventsClient } from './connect.ts';
import { Link } from './link.ts';

export interface SubscriptionOptions {
  readonly commands: Client;
  readonly channel: string;
  /** Counts what befalls this connection. */
  readonly watch: (client: Redis) => void;
  readonly random: () => number;
  readonly explain: (error: unknown) => string;
  /** `null`: subscribed (again), something may have been missed. */
  readonly onEvent: (event: StoreEvent | null) => void;
  readonly onChange: () => void;
}

export interface Subscription {
  problem(): string | null;
  /** Finds out whether the connection still lives, and subscribes where that was refused before. */
  check(): void;
  close(): Promise<void>;
}

/** Null when there is nobody to subscribe at; then the next connection is the time for it. */
export function openSubscription(options: SubscriptionOptions): Subscription | null {
  const client = createEventsClient(options.commands, options.random);
  return client && subscribeOver(client, options);
}

function subscribeOver(client: Redis, options: SubscriptionOptions): Subscription {
  const { channel, random, explain, onEvent, onChange } = options;
  options.watch(client);
  let subscribed = false;
  const link = new Link(client, {
    random,
    explain,
    onReady: () => {
      subscribed = false;
      check();
    },
    onChange,
  });

  client.on('message', (from: string, text: string) => {
    const event = from === channel ? decodeEvent(text) : null;
    if (event !== null) onEvent(event);
  });

  function check(): void {
    if (client.status !== 'ready') return;
    if (subscribed) {
      client.ping().catch(() => {}); // A dead socket is destroyed by its timeout, and that reconnects.
      return;
    }
    client.subscribe(channel).then(
      () => {
        subscribed = true;
        link.succeed();
        onEvent(null);
      },
      (error) => link.fail(error),
    );
  }

  return { problem: () => link.problem, check, close: () => link.close() };
}
