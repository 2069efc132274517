import { createMemoryStore, type Store } from '@rpc-balancer/shared';
import { expect, onTestFinished, test } from 'vitest';
import { createClock, createRandom } from '../../../../test/kit/clock.ts';
import { waitFor } from '../../../../test/kit/wait.ts';
import { memberOf } from '../../test/members.ts';
import { quietNetwork } from '../../test/networks.ts';
import { recordFailure } from '../balance/ejection.ts';
import { startSharing } from './sharing.ts';

const silent = () => {};
const log = { debug: silent, info: silent, warn: silent, error: silent };

function startReplica(instance: string, store: Store) {
  const own = quietNetwork('own', [{}, {}], { probe: 'off' });
  const asNginx = quietNetwork('as-nginx', [{}, {}], { probe: 'off', compat: 'nginx' });
  const { now } = createClock();
  const sharing = startSharing({
    ...{ networks: () => [own, asNginx], store, instance, now, random: createRandom(1), log },
    ...{ onBeat: silent, onBeatFailure: silent, onReportFailure: silent },
  });
  onTestFinished(() => sharing.stop());
  return { own, asNginx };
}

test('a network that behaves as nginx still tells whoever publishes what it uses', async () => {
  const store = createMemoryStore(createClock().now);
  const { asNginx } = startReplica('anna', store);
  memberOf(asNginx.state, 1).usage.attempted(createClock().now());
  await waitFor(async () => (await store.readUsages('as-nginx')).length > 0, { what: 'its usage' });
});

test('a network that behaves as nginx shares neither what is in flight nor failures with other replicas', async () => {
  const store = createMemoryStore(createClock().now);
  const [anna, bert] = [startReplica('anna', store), startReplica('bert', store)];
  for (const { state } of [anna.own, anna.asNginx]) {
    const member = memberOf(state, 0);
    member.inFlight = 7;
    member.inFlightLow = 7;
    recordFailure(member, 1);
    state.tell();
  }
  await waitFor(() => memberOf(bert.own.state, 0).inFlightElsewhere > 0, {
    what: 'the heartbeat of the other',
  });
  expect(memberOf(bert.asNginx.state, 0)).toMatchObject({ inFlightElsewhere: 0, fails: 0 });
  expect(bert.asNginx.state.ticketed).toBe(false);
  expect(await store.readReports('as-nginx', null)).toEqual([]);
});
