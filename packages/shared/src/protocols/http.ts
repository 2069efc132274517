// Decides: what is known of plain HTTP: no methods, and no word by which an upstream says what it is. Data only.
import type { ProtocolTable } from './table.ts';

export const HTTP: ProtocolTable = {
  name: 'http',
  maxLagBlocks: 5, // Slots of a beacon chain, most of the time.
  identity: null,
  hasUris: false,
  heights: 'decimal',
  adminPrefixes: [],
  methods: { read: {}, signed: {}, filled: {}, node: {}, connection: {} },
};
