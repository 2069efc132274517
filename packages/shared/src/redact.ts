// Decides: what of a text may be shown. Every secret that the configuration holds is replaced.
// Must not know: where the text goes.

/** Stands where a secret was. */
export const HIDDEN = '***';

/** Longest foreign text (a node's or a library's) that any output of ours repeats, in characters. */
export const FOREIGN_TEXT_CHARS = 200;

/** Longest key that is repeated whole: all of ours are shorter. */
const KEY_CHARS_MAX = 64;

/** Shorter pieces of a URL ("v3", "rpc") are ordinary words: replacing them would only garble a text. */
const SECRET_CHARS_MIN = 6;

/** A URL with everything hidden that can carry a credential: user, password, path, query. */
export function redactUrl(text: string): string {
  const parts = /^([a-z][a-z0-9+.-]*:\/\/)(?:[^/?#]*@)?([^/?#]*)(.*)$/is.exec(text);
  if (!parts) return HIDDEN;
  const [, scheme, host, rest] = parts;
  return `${scheme}${host}${rest && rest !== '/' ? `/${HIDDEN}` : ''}`;
}

/** The parts of a URL that may be credentials: user, password, path segments, query values. */
export function urlSecrets(text: string): string[] {
  const parts = /^[a-z][a-z0-9+.-]*:\/\/(?:([^/?#]*)@)?[^/?#]*([^?#]*)(?:\?([^#]*))?/i.exec(text);
  if (!parts) return [text];
  const [, user = '', path = '', query = ''] = parts;
  const userParts = user.split(':').filter((part) => part !== '');
  const pathParts = path.split('/');
  const queryParts = query.split('&').map((pair) => pair.slice(pair.indexOf('=') + 1));
  const long = [...pathParts, ...queryParts].filter((part) => part.length >= SECRET_CHARS_MIN);
  return [...userParts, ...long];
}

/** Makes a function that hides the given secrets (and their percent-decoded forms) in any text. */
export function createRedactor(secrets: Iterable<string>): (text: string) => string {
  const known = new Set<string>();
  for (const secret of secrets) {
    if (secret.length < 3) continue; // two characters stand in any text; a real secret is longer
    known.add(secret);
    known.add(percentDecoded(secret));
  }
  const longestFirst = [...known].sort((a, b) => b.length - a.length);
  return (text) => longestFirst.reduce((shown, secret) => shown.replaceAll(secret, HIDDEN), text);
}

/** Cuts foreign text to {@link FOREIGN_TEXT_CHARS} and takes control characters out of it. */
export function foreignText(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is taken out
  const plain = text.replace(/[\u0000-\u001f\u007f]+/g, ' ');
  return plain.length > FOREIGN_TEXT_CHARS ? `${plain.slice(0, FOREIGN_TEXT_CHARS)}…` : plain;
}

/** A key of the configuration as it may be shown: what follows its first word may be a credential (a URL, a header). */
export function shownKey(key: string): string {
  const [word = ''] = key.slice(0, KEY_CHARS_MAX).split(/[\s:]/, 1);
  return word.length === key.length ? key : `${word}…`;
}

/** Undoes percent-encoding where it is one. */
export function percentDecoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text; // A lone % is legal in a password; then there is no second form to hide.
  }
}
