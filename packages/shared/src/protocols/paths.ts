// Decides: how the path of a request is read where globs are compared with it.
// Must not know: globs, or what is sent: nodes get a path byte for byte as it came.

/** What a glob can spell: the unreserved characters of RFC 3986 section 2.3, and the slash, which some nodes decode before they look. */
const SPELLED = /[\w.~/-]/;

/**
 * One spelling of all that are the same path to a node (RFC 3986 section 6.2.2): what need not be encoded is decoded, and slashes
 * that follow each other are one. Null for what nodes read in different ways: no text, text with an end in it, a fragment.
 * Dot segments are to be refused before.
 */
export function readPath(path: string): string | null {
  if (path.includes('#') || path.includes('%00') || !isText(path)) return null;
  const spelled = path.replace(/%[0-9a-f]{2}/gi, (encoded) => {
    const char = String.fromCharCode(Number.parseInt(encoded.slice(1), 16));
    return SPELLED.test(char) ? char : encoded.toUpperCase();
  });
  return spelled.replace(/\/{2,}/g, '/');
}

function isText(path: string): boolean {
  try {
    decodeURIComponent(path);
    return true;
  } catch {
    return false;
  }
}
