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

/**
 * Hides secrets in a text.
 * @param charsMax how many characters are shown at most, before a mark that more follow; the rest is not searched
 */
export type Redact = (text: string, charsMax?: number) => string;

/** Makes a function that hides the given secrets (and their percent-decoded forms) in any text. */
export function createRedactor(secrets: Iterable<string>): Redact {
  const known = new Set<string>();
  for (const secret of secrets) {
    // Two characters stand in any text; a real secret is longer. So no text becomes longer by what is hidden.
    for (const form of [secret, percentDecoded(secret)]) if (form.length >= HIDDEN.length) known.add(form);
  }
  const longestFirst = [...known].sort((a, b) => b.length - a.length);
  /** A cut may leave so much of a secret that it is not known for one. */
  const remnantCharsMax = Math.max(0, (longestFirst[0]?.length ?? 0) - 1);
  return (text, charsMax = Number.POSITIVE_INFINITY) => {
    const searched = text.slice(0, charsMax + remnantCharsMax);
    const hidden = longestFirst.reduce((shown, secret) => shown.replaceAll(secret, HIDDEN), searched);
    if (searched.length === text.length) return cut(hidden, charsMax);
    const safeChars = Math.max(0, hidden.length - remnantCharsMax);
    return `${hidden.slice(0, Math.min(charsMax, safeChars))}…`;
  };
}

/** Cuts foreign text to {@link FOREIGN_TEXT_CHARS} and takes secrets and control characters out of it. */
export function foreignText(text: string, redact: Redact = cut): string {
  const shown = redact(text, FOREIGN_TEXT_CHARS);
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is taken out
  return cut(shown.replace(/[\u0000-\u001f\u007f]+/g, ' '), FOREIGN_TEXT_CHARS);
}

function cut(text: string, charsMax = FOREIGN_TEXT_CHARS): string {
  return text.length > charsMax ? `${text.slice(0, charsMax)}…` : text;
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
