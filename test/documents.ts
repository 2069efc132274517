// Decides: how our documents are read: headings, what stands under each, links.
// Must not know: what they ought to say.
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { inRepo } from './kit/paths.ts';

/** The text under each heading of a level, up to the next heading; a heading that is there twice is an error. */
export function sectionsOf(file: string, level: number): ReadonlyMap<string, string> {
  const mark = `${'#'.repeat(level)} `;
  const sections = new Map<string, string>();
  let heading: string | null = null;
  for (const line of readFileSync(inRepo(file), 'utf8').split('\n')) {
    if (/^#+ /.test(line)) {
      heading = line.startsWith(mark) ? line.slice(mark.length) : null;
      if (heading !== null && sections.has(heading)) throw new Error(`${file} has "${heading}" twice`);
      if (heading !== null) sections.set(heading, '');
    } else if (heading !== null) sections.set(heading, `${sections.get(heading)}${line}\n`);
  }
  return sections;
}

/** What follows a word such as `Default:` in a section, up to the full stop. */
export function factIn(section: string, word: string): string | undefined {
  return new RegExp(`${word}: (.*?)\\.(?=\\s|$)`, 's').exec(section)?.[1];
}

/** README and everything under docs, by path from the root. */
export function documents(): string[] {
  const under = readdirSync(inRepo('docs'), { recursive: true, encoding: 'utf8' });
  return ['README.md', ...under.filter((name) => name.endsWith('.md')).map((name) => join('docs', name))];
}

/** The relative links of a document, as path from the root and anchor. */
export function linksIn(file: string): { readonly path: string; readonly anchor: string | undefined }[] {
  const links = readFileSync(inRepo(file), 'utf8').matchAll(/\]\(([^)\s]+)\)/g);
  return [...links].flatMap(([, link = '']) => {
    if (/^[a-z]+:/.test(link)) return [];
    const [path = '', anchor] = link.split('#');
    return [{ path: path === '' ? file : join(dirname(file), path), anchor }];
  });
}

/** The anchors that GitHub makes of a document's headings. */
export function anchorsOf(file: string): string[] {
  const headings = readFileSync(inRepo(file), 'utf8').matchAll(/^#+ (.*)$/gm);
  return [...headings].map(([, text = '']) =>
    text
      .toLowerCase()
      .replaceAll(/[^\w\- ]/g, '')
      .replaceAll(' ', '-'),
  );
}
