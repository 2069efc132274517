// Decides: whether a text matches a glob, in which `*` stands for any text, slashes, dots and none at all included.
// Must not know: what the texts are.

/** The first place of each piece leaves the most room for the next, so it never looks back: a client's text costs its length. */
export function globOf(glob: string): (text: string) => boolean {
  const [prefix = '', ...pieces] = glob.split('*');
  const suffix = pieces.pop();
  if (suffix === undefined) return (text) => text === glob;
  return (text) => {
    if (!text.startsWith(prefix) || !text.endsWith(suffix)) return false;
    let from = prefix.length;
    for (const piece of pieces) {
      const at = text.indexOf(piece, from);
      if (at === -1) return false;
      from = at + piece.length;
    }
    return from <= text.length - suffix.length;
  };
}
