/** Which pictures a load sends, and what is right for each. */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { messageOf } from '../errors.js';
import type { Picture } from '../load/client.js';
import type { Random } from '../load/random.js';
import { ROOT } from './common.js';
import { Failure } from './failure.js';

/**
 * So many different ones at most: all are held in memory, some 100 MB of photographs. With fewer the accuracy says less;
 * a thousand tell it to within 3 points.
 */
const MOST_PICTURES = 1000;
const KINDS = /\.(jpe?g|png|webp|avif|gif|tiff?)$/i;
const EXAMPLES = ['cat.jpg', 'coffee.jpg', 'rocket.jpg'];

export interface Pictures {
  readonly pictures: readonly Picture[];
  readonly labelled: boolean;
}

/** Those that come with dimmer; nobody says what is right for them. */
export const examplePictures = (): Pictures => ({
  pictures: EXAMPLES.map((name) => ({ file: fileURLToPath(new URL(`docs/examples/${name}`, ROOT)) })),
  labelled: false,
});

/**
 * Of an image folder, `<folder>/<label>/<picture>`, or of a folder of pictures, which then have no labels. In an order by
 * chance, at most MOST_PICTURES. labels: of the family, in the order of its classes. Raises Failure.
 */
export function picturesOf(folder: string, labels: readonly string[], random: Random): Pictures {
  const entries = listed(folder);
  const flat = entries.filter((e) => e.isFile() && KINDS.test(e.name));
  if (flat.length > 0) {
    return {
      pictures: drawn(
        flat.map(({ name }) => ({ file: join(folder, name) })),
        random,
      ),
      labelled: false,
    };
  }
  const classes = entries.filter((e) => e.isDirectory()).map(({ name }) => ({ name, index: labels.indexOf(name) }));
  const strange = classes.filter(({ index }) => index < 0).map(({ name }) => name);
  if (strange.length > 0) throw noLabels(folder, strange, labels);
  const pictures = classes.flatMap(({ name, index }) =>
    listed(join(folder, name))
      .filter((e) => e.isFile() && KINDS.test(e.name))
      .map((e) => ({ file: join(folder, name, e.name), label: index })),
  );
  if (pictures.length === 0) {
    throw unusable(
      folder,
      'it holds no picture',
      'JPEG, PNG, WebP, AVIF, GIF or TIFF in <folder>/<label>/ or <folder>/',
    );
  }
  return { pictures: drawn(pictures, random), labelled: true };
}

function listed(folder: string) {
  try {
    // In one order on all file systems, so that a seed draws the same.
    return readdirSync(folder, { withFileTypes: true }).sort((a, b) => (a.name < b.name ? -1 : 1));
  } catch (error) {
    throw unusable(folder, messageOf(error), 'a folder that this user may read');
  }
}

/** The first steps of the shuffle by Fisher and Yates. */
function drawn<T>(all: readonly T[], random: Random): T[] {
  const left = [...all];
  return Array.from({ length: Math.min(MOST_PICTURES, all.length) }, (_, n) => {
    const from = n + Math.floor(random() * (left.length - n));
    const [one, other] = [left[from] as T, left[n] as T];
    left[from] = other;
    left[n] = one;
    return one;
  });
}

function noLabels(folder: string, strange: readonly string[], labels: readonly string[]): Failure {
  const some = (names: readonly string[]) => `${names.slice(0, 5).join(', ')}${names.length > 5 ? ', ...' : ''}`;
  return unusable(
    folder,
    `these folders are no labels of the family: ${some(strange)}`,
    `one folder for each label, named like it: ${some(labels)}`,
  );
}

const unusable = (folder: string, detail: string, expected: string): Failure =>
  new Failure({
    title: 'The pictures cannot be used',
    detail: `${folder}: ${detail}`,
    expected,
    action: 'give another folder with --data, or none: the example pictures of dimmer are sent then',
  });
