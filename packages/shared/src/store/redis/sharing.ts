// Decides: what gateways share with each other over Redis, and sidecars likewise, each step as one script.
// Must not know: connections, timeouts, what beats and reports say.

import type { StoreEvent } from '../../wire/events.ts';
import { clusterKeys, type KeyOptions, networkKeys, trialKey } from '../../wire/keys.ts';
import { encodeReport } from '../../wire/report.ts';
import { attend } from '../lua/attend.ts';
import { beat } from '../lua/beat.ts';
import { readReports } from '../lua/read-reports.ts';
import { readUsages } from '../lua/read-usages.ts';
import { report as addReport } from '../lua/report.ts';
import { takeTrial } from '../lua/take-trial.ts';
import { REPORTS_MAX, type Sharing } from '../store.ts';
import { type Run, script } from './step.ts';

export function createSharing(keyOptions: KeyOptions, channel: string, run: Run): Sharing {
  return {
    async attend(instance, content, lifeMs) {
      const { sidecars, sidecarBeats } = clusterKeys(keyOptions);
      const args = [instance, lifeMs, content];
      return textsByName(listOf(await run('attend', script(attend, [sidecars, sidecarBeats], args))));
    },
    async beat(network, instance, { content, usage }, lifeMs) {
      const { gateways, beats, usages } = networkKeys(keyOptions, network);
      const args = [instance, lifeMs, content ?? '', usage ?? ''];
      const answer = await run('beat', script(beat, [gateways, beats, usages], args));
      const [known, ...flat] = listOf(answer);
      return { known: known === 1, others: textsByName(flat) };
    },
    async readUsages(network) {
      const { gateways, usages } = networkKeys(keyOptions, network);
      return listOf(await run('read_usages', script(readUsages, [gateways, usages], []))).map(String);
    },
    async report(network, report, ttlMs) {
      const { reports } = networkKeys(keyOptions, network);
      const event = JSON.stringify({ type: 'reported', network } satisfies StoreEvent);
      const args = [ttlMs, REPORTS_MAX, encodeReport(report), channel, event];
      // Sent again it may count twice, which its streak corrects.
      await run('report', script(addReport, [reports], args));
    },
    async readReports(network, after) {
      const { reports } = networkKeys(keyOptions, network);
      const flat = listOf(await run('read_reports', script(readReports, [reports], [after ?? ''])));
      return inGroups(flat, 3).map(([id, ageMs, text]) => ({
        id: String(id),
        ageMs: Number(ageMs),
        text: String(text),
      }));
    },
    async takeTrial(network, { upstream, turn, holder }, ttlMs) {
      const key = trialKey(keyOptions, network, upstream, turn);
      return Number(await run('take_trial', script(takeTrial, [key], [holder, ttlMs])));
    },
  };
}

function listOf(answer: unknown): readonly unknown[] {
  return Array.isArray(answer) ? answer : [];
}

function textsByName(flat: readonly unknown[]): Readonly<Record<string, string>> {
  return Object.fromEntries(inGroups(flat, 2).map(([name, text]) => [String(name), String(text)]));
}

function inGroups(flat: readonly unknown[], size: number): unknown[][] {
  return Array.from({ length: flat.length / size }, (_, at) => flat.slice(at * size, (at + 1) * size));
}
