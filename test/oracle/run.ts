// Decides: how many scenarios are played at once against one nginx and one replica.
// Must not know: what to do about a difference.
import { openNginx, openReplica } from './doors.ts';
import { type Played, play } from './play.ts';
import { type Scenario, scenarioOf } from './scenario.ts';
import { Side, startNodes } from './side.ts';

/** Nearly all of a scenario is waiting, so that many share a machine. */
const AT_ONCE = 16;

/** Plays the scenarios of `count` seeds, the first of which is given. */
export async function runOracle(firstSeed: number, count: number): Promise<readonly Played[]> {
  const scenarios = Array.from({ length: count }, (_, at) => scenarioOf(firstSeed + at));
  const [forNginx, forReplica] = await Promise.all([groupsOf(scenarios), groupsOf(scenarios)]);
  const [nginx, replica] = await Promise.all([openNginx(forNginx), openReplica(forReplica)]);
  const left = scenarios.map((scenario, at) => ({ scenario, at }));
  const played: Played[] = [];

  async function playNext(): Promise<void> {
    for (let next = left.shift(); next; next = left.shift()) {
      const { scenario, at } = next;
      played.push(
        await play(scenario, { nginx: side(forNginx, nginx, at), replica: side(forReplica, replica, at) }),
      );
    }
  }
  try {
    await Promise.all(Array.from({ length: AT_ONCE }, playNext));
  } finally {
    await Promise.all([nginx.stop(), replica.stop()]);
    const nodes = [...forNginx, ...forReplica].flatMap((group) => group.nodes);
    await Promise.all(nodes.map((node) => node.stop()));
  }
  return played;
}

async function groupsOf(scenarios: readonly Scenario[]) {
  const groups = [];
  for (const scenario of scenarios) groups.push({ scenario, nodes: await startNodes(scenario.nodes.length) });
  return groups;
}

type Groups = Awaited<ReturnType<typeof groupsOf>>;
type Opened = Awaited<ReturnType<typeof openNginx>>;

function side(groups: Groups, { doors }: Opened, at: number): Side {
  const [group, door] = [groups[at], doors[at]];
  if (!group || !door) throw new Error('there is a group and a door for each scenario');
  return new Side(group.nodes, door);
}
