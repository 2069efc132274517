// Decides: how every store keeps the recent writes of a cluster.
// Must not know: which store it is.
import { expect, test } from 'vitest';
import { waitFor } from '../../../test/kit/wait.ts';
import { decodeRecentWrite, RECENT_WRITES_MAX, type Store, type StoreEvent } from '../src/index.ts';

interface Writing {
  openTwo(): { anna: Store; bert: Store };
  listen(store: Store): Promise<(StoreEvent | null)[]>;
  advance(ms: number): void;
}

const LONG_MS = 60_000;
const SHORT_MS = 300;

const writeOf = (subject: string) => ({ upstream: 'geth-a', subjects: [subject, '0xsender'] });

export function writesConformance({ openTwo, listen, advance }: Writing): void {
  async function subjectsIn(store: Store, network = 'main'): Promise<unknown[]> {
    return (await store.readWrites(network)).map((text) => decodeRecentWrite(text)?.subjects[0]);
  }

  test('a recent write is told to other processes and to its own, and is read by those who come later', async () => {
    const { anna, bert } = openTwo();
    const heard = [await listen(anna), await listen(bert)];
    await anna.noteWrite('main', writeOf('0x1'), LONG_MS);
    await waitFor(() => heard.every((events) => events.length > 0), { what: 'the events' });
    const event = { type: 'written', network: 'main', ...writeOf('0x1') };
    expect(heard).toEqual([[event], [event]]);
    expect((await bert.readWrites('main')).map(decodeRecentWrite)).toEqual([writeOf('0x1')]);
    expect(await bert.readWrites('other')).toEqual([]);
  });

  test('a recent write is gone when its time is over', async () => {
    const { anna, bert } = openTwo();
    await anna.noteWrite('main', writeOf('0x1'), SHORT_MS);
    expect(await subjectsIn(bert)).toEqual(['0x1']);
    advance(SHORT_MS);
    await waitFor(async () => (await bert.readWrites('main')).length === 0, { what: 'the write to end' });
  });

  test('of many recent writes the newest are kept', async () => {
    const { anna, bert } = openTwo();
    await anna.noteWrite('main', writeOf('0xfirst'), LONG_MS - 1000);
    for (let at = 1; at < RECENT_WRITES_MAX; at++) void anna.noteWrite('main', writeOf(`0x${at}`), LONG_MS);
    await anna.noteWrite('main', writeOf('0xlast'), LONG_MS + 1000);
    const kept = await subjectsIn(bert);
    expect(kept).toHaveLength(RECENT_WRITES_MAX);
    expect(kept).toContain('0xlast');
    expect(kept).not.toContain('0xfirst');
  });
}
