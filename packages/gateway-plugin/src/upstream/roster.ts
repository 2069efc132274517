// Decides: how those who come and go with every request are kept together (requests for a shutdown to reach, attempts to watch).
// Must not know: what they are. A Set would be rehashed time and again.

export interface Entry {
  /** Where it stands in the roster; kept by the roster. */
  place: number;
}

export class Roster<Member extends Entry> implements Iterable<Member> {
  readonly #all: Member[] = [];

  add(member: Member): Member {
    member.place = this.#all.length;
    this.#all.push(member);
    return member;
  }

  /** Without effect when it was taken out before. */
  remove(member: Member): void {
    if (this.#all[member.place] !== member) return;
    const last = this.#all.pop();
    if (last === undefined || last === member) return;
    last.place = member.place;
    this.#all[last.place] = last;
  }

  /** Those of this moment, whoever comes or goes meanwhile. */
  [Symbol.iterator](): Iterator<Member> {
    return [...this.#all][Symbol.iterator]();
  }
}
