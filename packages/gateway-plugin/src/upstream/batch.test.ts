import fc from 'fast-check';
import { expect, test } from 'vitest';
import { createRandom, shuffled } from '../../../../test/kit/clock.ts';
import { value } from '../../../shared/test/json-text.ts';
import { callOf } from '../../test/calls.ts';
import { joinAnswers, readBatch, restoreId, writeBatch } from './batch.ts';
import { type Call, idOf } from './call.ts';

const DIGITS = '1234567890123456789012345678901234567890';

/** One id of every JSON type, in spellings that parsing and printing would change. */
const IDS = [
  '1',
  '1.0',
  '-0',
  '1e2',
  DIGITS,
  '"x"',
  '"\\u0061\\/"',
  '""',
  'null',
  'true',
  'false',
  '[1, 2]',
  '{"a": 1}',
];

/** What a client gets when the node answers each call with its result, in the order of `positions`. */
function roundTrip(
  calls: readonly Call[],
  results: readonly string[],
  positions: readonly number[],
): string[] {
  const sent = JSON.parse(writeBatch(calls).toString()) as { id?: number }[]; // writeBatch gave each its position
  const answers = positions
    .filter((at) => sent[at]?.id !== undefined)
    .map((at) => `{"jsonrpc":"2.0","result":${results[at]},"id":${sent[at]?.id}}`);
  const answer = readBatch(Buffer.from(`[${answers.join(' , ')}]`), calls.length);
  return calls.map((call, at) => {
    const element = answer?.elements.get(at);
    return element ? restoreId(element, idOf(call) ?? Buffer.alloc(0)).toString() : 'missing';
  });
}

test('ids of every JSON type come back byte for byte, duplicates and any order of answers included', () => {
  const calls = [...IDS, ...IDS].map((id) => callOf(id));
  const order = shuffled([...calls.keys()], createRandom(3));
  const results = calls.map((_, at) => String(at));
  const back = roundTrip(calls, results, order);
  expect(back).toEqual([...IDS, ...IDS].map((id, at) => `{"jsonrpc":"2.0","result":${at},"id":${id}}`));
});

test('a call in a batch keeps all of its bytes but the id, an integer of forty digits included', () => {
  const bytes = Buffer.from(`{ "params":[${DIGITS}, 1.10], "id" : "x" ,"method":"m"}`);
  const at = bytes.indexOf('"x"');
  const text = writeBatch([{ bytes, id: { start: at, end: at + 3 } }]).toString();
  expect(text).toBe(`[{ "params":[${DIGITS}, 1.10], "id" : 0 ,"method":"m"}]`);
});

test('a notification in a batch goes out as it came', () => {
  const call = callOf(undefined);
  expect(writeBatch([call, call]).toString()).toBe(`[${call.bytes},${call.bytes}]`);
});

test('whatever is asked and in whatever order it is answered, each call gets its own result', () => {
  const calls = fc.array(fc.tuple(fc.option(value, { nil: undefined }), value), {
    minLength: 1,
    maxLength: 12,
  });
  fc.assert(
    fc.property(calls, fc.integer(), (drawn, seed) => {
      const asked = drawn.map(([id]) => callOf(id));
      const results = drawn.map(([, result]) => result);
      const order = shuffled([...asked.keys()], createRandom(seed));
      expect(roundTrip(asked, results, order)).toEqual(
        drawn.map(([id, result]) =>
          id === undefined ? 'missing' : `{"jsonrpc":"2.0","result":${result},"id":${id}}`,
        ),
      );
    }),
  );
});

test('what is missing in an answer is missing in what is read, and strangers are ignored', () => {
  const body =
    '[{"id":1,"result":1},{"id":9,"result":9},{"result":5},7,{"id":-1},{"id":"x"},{"id":1.0,"result":2}]';
  const answer = readBatch(Buffer.from(body), 3);
  expect([...(answer?.elements.keys() ?? [])]).toEqual([1]);
  expect(answer?.complete).toBe(true);
});

test('of two answers to one call the first counts', () => {
  const answer = readBatch(Buffer.from('[{"id":0,"result":"first"},{"id":0,"result":"second"}]'), 1);
  expect(answer?.elements.get(0)?.bytes.toString()).toContain('first');
});

test('a number that comes back as a string is still ours', () => {
  const answer = readBatch(Buffer.from('[{"id":"0","result":1}]'), 1);
  expect(answer?.elements.has(0)).toBe(true);
});

test('an array that stops early says so and has what came before', () => {
  const answer = readBatch(Buffer.from('[{"id":0,"result":1},{"id":1,"res'), 2);
  expect(answer?.complete).toBe(false);
  expect(answer?.elements.size).toBe(1);
});

test('what is no array is no batch answer', () => {
  for (const text of ['{"id":0,"result":1}', '', 'null', '<html>']) {
    expect(readBatch(Buffer.from(text), 1), text).toBeNull();
  }
});

test('answers are joined in the order given', () => {
  expect(joinAnswers([Buffer.from('1'), Buffer.from('2')]).toString()).toBe('[1,2]');
  expect(joinAnswers([]).toString()).toBe('[]');
});
