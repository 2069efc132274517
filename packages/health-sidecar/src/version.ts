// Decides: which version this package says it has.

/** Not read from the manifest: a compiled binary has none beside it, and Deno would have to be allowed to. A test compares them. */
export const VERSION = '0.1.0';
