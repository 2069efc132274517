// Prints what is published and compared for inputs that are the same in every run: a program for each of the runtimes.
// Must not know: which runtime it runs on.
import { rank } from '../../packages/health-sidecar/src/rank.ts';
import {
  addSample,
  emptyWindow,
  type Sample,
  type SampleWindow,
} from '../../packages/health-sidecar/src/samples.ts';
import {
  configHash,
  decodeRanking,
  encodeRanking,
  foreignText,
  parseConfig,
  type RankingDraft,
} from '../../packages/shared/src/index.ts';
import { createRandom } from '../kit/clock.ts';

const NOW = 1_704_067_200_000;
const ROUNDS = 200;
const FAILURES = ['unreachable', 'probe_timeout', 'unauthorized', 'probe_failed', 'throttled'] as const;

const TEXT = `
networks:
  main:
    identity: "\${CHAIN:-1}"
    maxLagBlocks: 2
    deadlines: { "debug_*": 2m, "trace_*": 90s }
    upstreams:
      - { id: a.1, url: "https://user:päss@例え.example/\${KEY}", headers: { x-key: "Grüße" } }
      - { id: b@eu, url: "http://[::1]:8545", weight: 3, tier: monitoring }
      - { id: C_3, url: "http://127.0.0.1:1", disabled: on }
      - { id: d, url: "http://127.0.0.1:2" }
      - { id: e, url: "http://127.0.0.1:3" }
`;

const random = createRandom(20_260_101);
const { networks } = parseConfig(TEXT, { env: { KEY: 'ключ' }, readFile: () => '' });
const config = networks.main;
if (!config) throw new Error('the text above has it');
const upstreams = config.upstreams.map((upstream) => ({ ...upstream, voter: upstream.id }));

/** Without powers of fractions: their last digit differs between versions of V8. */
function ofAnySize(): number {
  return random() * Number(`1e${Math.floor(random() * 9) - 4}`);
}

/** Fractions of every size, nulls, heads that stand, jump and lie. */
function sampleAt(sampledAt: number, round: number): Sample {
  const failure = FAILURES[Math.floor(random() * FAILURES.length * 4)];
  if (failure) return { failure, sampledAt, detail: foreignText(`détail ${round} 😀`.repeat(round)) };
  const number = random() < 0.05 ? Number.MAX_SAFE_INTEGER : 20_000_000 + Math.floor(round / 3);
  return {
    failure: null,
    sampledAt,
    latencyMs: ofAnySize(),
    identity: random() < 0.9 ? '1' : null,
    syncing: random() < 0.05,
    head: {
      number,
      hash: random() < 0.5 ? `0x${number.toString(16).padStart(64, '0')}` : null,
      headerAt: random() < 0.5 ? sampledAt - random() * 12_000 : null,
    },
    finalized: random() < 0.5 ? number - 64 : null,
  };
}

const windows = new Map<string, SampleWindow>();
let past: RankingDraft | null = null;
for (let round = 0; round < ROUNDS; round++) {
  const now = NOW + round * 2000 + random();
  for (const { id } of upstreams)
    windows.set(id, addSample(windows.get(id) ?? emptyWindow, sampleAt(now, round)));
  const loads = new Map([['a.1', ofAnySize()]]);
  const attempts = Math.floor(random() * 1e9);
  const nothing = { retryAt: null, left: null, limit: null, resetAt: null };
  const budgets = new Map([['d', { attempts, throttled: round, ...nothing, resetAt: now }]]);
  past = rank({
    ...{ loads, budgets },
    ...{ network: 'main', config, upstreams, windows, past, now },
    ...{
      configHash: configHash(config),
      publisher: 'sidecar-ß-1',
      settled: round > 2,
      freshSince: now - 6000,
      lookMs: 2000,
    },
  });
  const text = encodeRanking({ ...past, epoch: NOW, seq: round });
  const read = decodeRanking(text);
  console.log(text);
  console.log('invalid' in read ? read.invalid : encodeRanking(read));
}
console.log(JSON.stringify([config, foreignText('\u0000\ud800 lone 😀'.repeat(40))]));
