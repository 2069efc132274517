import { FetchRequest, JsonRpcProvider, Network } from 'ethers';
import { createPublicClient, http, type PublicClient } from 'viem';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { type Anvil, startAnvil } from '../kit/anvil.ts';
import { type Cluster, LONG, PATIENT_PROBE, startEmbedded } from './cluster.ts';
import { post, upstreamsOf } from './upstreams.ts';

const CHAIN_ID = 31_337;
const FROM = '0xf39fd6e51aad88f6f4ce6ab8827279cfffb92266';
const TO = '0x70997970c51812dc3a010c7d01b50e0d17dc79c8';
/** Makes a contract that has stored 1 and emitted a log with two topics, and that reverts whenever it is called. */
const INIT_CODE = '0x60016000556002600160006000a26005601a60003960056000f360006000fd';

const ROUNDS_WHILE_DYING = LONG ? 200 : 20;

/** What the tests ask; nothing of it changes while no block is made. */
async function readsOf(node: Anvil): Promise<[string, unknown[]][]> {
  const block = (await node.rpc('eth_getBlockByNumber', ['0x2', false])) as {
    hash: string;
    transactions: string[];
  };
  const [transaction] = block.transactions;
  const receipt = (await node.rpc('eth_getTransactionReceipt', [transaction])) as { contractAddress: string };
  const contract = receipt.contractAddress;
  return [
    ['eth_chainId', []],
    ['net_version', []],
    ['web3_clientVersion', []],
    ['eth_blockNumber', []],
    ['eth_gasPrice', []],
    ['eth_getBalance', [FROM, 'latest']],
    ['eth_getBalance', [TO, '0x1']],
    ['eth_getTransactionCount', [FROM, 'latest']],
    ['eth_getCode', [contract, 'latest']],
    ['eth_getStorageAt', [contract, '0x0', 'latest']],
    ['eth_getProof', [contract, ['0x0'], 'latest']],
    ['eth_getBlockByNumber', ['0x1', true]],
    ['eth_getBlockByNumber', ['latest', false]],
    ['eth_getBlockByNumber', ['0xffffff', false]],
    ['eth_getBlockByHash', [block.hash, true]],
    ['eth_getBlockTransactionCountByNumber', ['0x1']],
    ['eth_getBlockReceipts', ['0x2']],
    ['eth_getTransactionByHash', [transaction]],
    ['eth_getTransactionReceipt', [transaction]],
    ['eth_getTransactionByHash', [block.hash]],
    ['eth_getLogs', [{ fromBlock: '0x0', toBlock: 'latest' }]],
    ['eth_feeHistory', ['0x2', 'latest', [25, 75]]],
    ['eth_call', [{ from: FROM, to: contract, data: '0x01' }, 'latest']],
    // No revert but an internal error (-32603), which gets a second opinion.
    ['eth_call', [{ from: FROM, data: '0x01' }, 'latest']],
    ['eth_estimateGas', [{ from: FROM, to: TO, value: '0x1' }]],
    ['eth_estimateGas', [{ from: FROM, to: contract, data: '0x01' }]],
    ['eth_getBalance', ['not an address', 'latest']],
    ['eth_getBalance', []],
    ['no_such_method', []],
  ];
}

/** Nodes with one and the same chain, block for block: each is a copy of a first one. */
async function startTwins(): Promise<[Anvil, Anvil]> {
  const start = () => startAnvil({ chainId: CHAIN_ID });
  const [first, ...twins] = await Promise.all([start(), start(), start()]);
  await first.rpc('eth_sendTransaction', [{ from: FROM, to: TO, value: '0xde0b6b3a7640000' }]);
  await first.rpc('eth_sendTransaction', [{ from: FROM, data: INIT_CODE, gas: '0x100000' }]);
  await first.mine(3);
  const state = await first.rpc('anvil_dumpState');
  await first.stop();
  for (const twin of twins) await twin.rpc('anvil_loadState', [state]);
  return twins;
}

const single = ([method, params]: [string, unknown[]], id: unknown): string =>
  JSON.stringify({ jsonrpc: '2.0', id, method, params });

describe('reads through the gateway', () => {
  let node: Anvil;
  let nodes: Anvil[] = [];
  let cluster: Cluster;
  let gatewayUrl = '';
  let bodies: string[] = [];

  beforeAll(async () => {
    nodes = await startTwins();
    [node] = nodes as [Anvil, Anvil]; // Just started.
    // An unknown method would not be sent twice, so that the death of a node might cost its answer.
    const methods = { reads: ['no_such_method'] };
    cluster = await startEmbedded({ net: { probe: PATIENT_PROBE, methods, upstreams: upstreamsOf(nodes) } });
    gatewayUrl = `${cluster.gateways[0]?.url}/net`;
    await cluster.wellEverywhere();
    const reads = await readsOf(node);
    const singles = reads.map((read, at) => single(read, at));
    const oddIds = reads
      .slice(0, 4)
      .map((read, at) => single(read, [`text ${at}`, null, 2 ** 53 - 1, ''][at]));
    bodies = [...singles, ...oddIds, `[${singles.join()}]`, `[${singles.toReversed().join(',\n')}]`];
  });

  afterAll(async () => {
    await cluster?.stop();
    await Promise.all(nodes.map((one) => one.stop()));
  });

  /** Sends what a client sends to both, and hands on the gateway's answer if it is the node's, byte for byte. */
  async function both(body: string): Promise<string> {
    const [direct, through] = [await post(node.url, body), await post(gatewayUrl, body)];
    expect(through).toEqual(direct);
    return through.text;
  }

  test('have the same bytes as straight from the node, one by one and in batches', async () => {
    const answers: string[] = [];
    for (const body of bodies) answers.push(await both(body));
    // Those that a balancer is tempted to rewrite are among them.
    expect(answers.join()).toMatch(/execution reverted/);
    expect(answers.join()).toMatch(/"code":-32603/);
    expect(answers.join()).toMatch(/"result":null/);
  });

  /** Some of what applications do with their library. */
  async function useViem(client: PublicClient): Promise<void> {
    await Promise.all([
      client.getBlockNumber(),
      client.getBlock({ blockNumber: 2n, includeTransactions: true }),
      client.getBalance({ address: TO }),
      client.getTransactionCount({ address: FROM }),
      client.getLogs({ fromBlock: 0n, toBlock: 'latest' }),
      client.getGasPrice(),
      client.getFeeHistory({ blockCount: 2, rewardPercentiles: [50] }),
      client.getChainId(),
    ]);
  }

  test.each([{ batch: false }, { batch: true }])(
    'have the same bytes for viem (batch: $batch)',
    async ({ batch }) => {
      let sent = 0;
      const fetchFn = async (_url: unknown, init?: RequestInit) => {
        sent++;
        return new Response(await both(String(init?.body)), {
          headers: { 'content-type': 'application/json' },
        });
      };
      const transport = http(gatewayUrl, { batch, fetchFn, retryCount: 0 });
      await useViem(createPublicClient({ transport }));
      expect(sent).toBe(batch ? 1 : 8);
    },
  );

  test.each([{ batchMaxCount: 1 }, { batchMaxCount: 100 }])(
    'have the same bytes for ethers (batches up to $batchMaxCount)',
    async ({ batchMaxCount }) => {
      let sent = 0;
      const request = new FetchRequest(gatewayUrl);
      request.getUrlFunc = async ({ body }) => {
        sent++;
        const text = await both(Buffer.from(body ?? []).toString());
        const headers = { 'content-type': 'application/json' };
        return { statusCode: 200, statusMessage: 'OK', headers, body: Buffer.from(text) };
      };
      const provider = new JsonRpcProvider(request, CHAIN_ID, {
        staticNetwork: Network.from(CHAIN_ID),
        batchMaxCount,
      });
      onTestFinished(() => provider.destroy());
      const [, balance, block, logs] = await Promise.all([
        provider.getBlockNumber(),
        provider.getBalance(TO),
        provider.getBlock(2, true),
        provider.getLogs({ fromBlock: 0, toBlock: 'latest' }),
        provider.getFeeData(),
      ]);
      expect(balance).toBe(10_001n * 10n ** 18n);
      expect(block?.transactions).toHaveLength(1);
      expect(logs).toHaveLength(1);
      expect(sent).toBeGreaterThan(0);
    },
  );

  test('have the same bytes while another node dies', async () => {
    const dying = nodes[1];
    const expected = new Map<string, string>();
    for (const body of bodies) expected.set(body, (await post(node.url, body)).text);
    const rounds = Array.from({ length: ROUNDS_WHILE_DYING }, () => bodies).flat();
    let answered = 0;
    const answers = await Promise.all(
      Array.from({ length: 4 }, async (_, lane) => {
        const wrong: string[] = [];
        for (let at = lane; at < rounds.length; at += 4) {
          const body = rounds[at] ?? '';
          const { text: through } = await post(gatewayUrl, body);
          if (through !== expected.get(body)) wrong.push(`${body.slice(0, 100)} -> ${through.slice(0, 200)}`);
          if (++answered === Math.floor(rounds.length / 3)) void dying?.kill();
        }
        return wrong;
      }),
    );
    expect(answers.flat()).toEqual([]);
    expect(dying?.process.running).toBe(false);
    await cluster.reason('net', 'b', 'ejected', 'unreachable');
  });
});
