// Decides: how an upstream's load is configured: where it is read, and which number of what is found there.
// Must not know: how it is read, or what is preferred by it.
import { z } from 'zod';
import { duration, got, jsonPointer, onOff, section, url } from './fields.ts';

/** More than any series has that tells a load. */
const LABELS_MAX = 16;

/** Prometheus' data model allows these names. */
const METRIC = /^[a-zA-Z_:][a-zA-Z0-9_:]{0,127}$/;
const LABEL = /^[a-zA-Z_][a-zA-Z0-9_]{0,127}$/;

export const loadSchema = section({
  url: url(['http', 'https'], 'http://10.0.0.1:9100/metrics'),
  /** Of a page in Prometheus' text format; several series are added up. */
  metric: z
    .string()
    .regex(METRIC, {
      error: (issue) =>
        `expected the name of a metric, such as node_load1, without labels${got(issue.input)}`,
    })
    .optional(),
  /** Only series with these labels count. */
  labels: z
    .record(z.string().regex(LABEL, 'expected the name of a label'), z.string().max(256))
    .refine((labels) => Object.keys(labels).length <= LABELS_MAX, `expected at most ${LABELS_MAX} labels`)
    .default({}),
  /** Divided by the CPUs that the same page tells of in `node_cpu_seconds_total`. */
  perCore: onOff().default(false),
  /** Of a JSON document: where the number stands. */
  pointer: jsonPointer().optional(),
  /** A page of an exporter takes tens of milliseconds. */
  timeout: duration(10, 60_000).default(2000),
}).superRefine(({ metric, pointer, labels, perCore }, context) => {
  const refuse = (path: string, message: string) =>
    context.addIssue({ code: 'custom', path: [path], message });
  if ((metric === undefined) === (pointer === undefined))
    refuse(
      'metric',
      'expected metric (a page in the text format of Prometheus) or pointer (a JSON document), and not both',
    );
  if (metric === undefined && Object.keys(labels).length > 0) refuse('labels', 'labels go with metric');
  if (metric === undefined && perCore) refuse('perCore', 'perCore goes with metric');
});

export type LoadConfig = z.output<typeof loadSchema>;
