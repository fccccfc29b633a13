/**
 * Lets the user choose a picture: a sample, or one that is dropped, pasted, picked as a file or taken with the camera.
 */
import { useEffect, useRef, useState } from 'preact/hooks';
import { ask } from './api.ts';
import { bytes } from './format.ts';

export interface Picture {
  readonly name: string;
  readonly blob: Blob;
  /** Whether it is one of SAMPLES. */
  readonly sample?: boolean;
}

/** Sample pictures of the service; sources and licences: docs/examples/README.md. */
export const SAMPLES = [
  { name: 'rocket.jpg', title: 'A rocket' },
  { name: 'cat.jpg', title: 'A cat' },
  { name: 'coffee.jpg', title: 'A cup of coffee' },
] as const;

export async function fetchSample(name: string, signal?: AbortSignal): Promise<Picture> {
  const response = await ask(`/samples/${name}`, signal ? { signal } : {});
  return { name, blob: await response.blob(), sample: true };
}

/** Whether the browser can open a camera for a file field with `capture`: those of phones can. */
const CAN_TAKE = 'capture' in HTMLInputElement.prototype;

interface Props {
  readonly picture: Picture | undefined;
  onPicture(picture: Picture): void;
  onTrouble(error: unknown): void;
}

export function PicturePicker({ picture, onPicture, onTrouble }: Props) {
  const [over, setOver] = useState(false);
  const input = useRef<HTMLInputElement>(null);
  const camera = useRef<HTMLInputElement>(null);
  const take = (files: FileList | null | undefined) => {
    const file = files?.[0];
    if (file) onPicture({ name: file.name || 'picture', blob: file });
  };
  const sample = (name: string) => fetchSample(name).then(onPicture, onTrouble);

  useEffect(() => {
    const paste = (event: ClipboardEvent) => {
      if (event.clipboardData?.files.length) take(event.clipboardData.files);
    };
    document.addEventListener('paste', paste);
    return () => document.removeEventListener('paste', paste);
  }, [onPicture]);

  const drop = (event: DragEvent) => {
    event.preventDefault();
    setOver(false);
    take(event.dataTransfer?.files);
  };
  const choose = (event: Event) => {
    const { currentTarget } = event as unknown as { currentTarget: HTMLInputElement };
    take(currentTarget.files);
    currentTarget.value = ''; // the same file may be chosen again
  };
  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: dropping is one way of five, the others have controls
    <div
      class={over ? 'picker over' : 'picker'}
      onDragOver={(event) => {
        event.preventDefault();
        setOver(true);
      }}
      onDragLeave={() => setOver(false)}
      onDrop={drop}
    >
      <Preview picture={picture} />
      <ul class="samples" aria-label="Samples">
        {SAMPLES.map(({ name, title }) => (
          <li key={name}>
            <button type="button" aria-pressed={picture?.name === name} onClick={() => sample(name)}>
              <img src={`/samples/${name}`} alt={title} width="84" height="56" />
            </button>
          </li>
        ))}
      </ul>
      <p class="quiet small">Or drop a picture here, paste one, or:</p>
      <div class="row">
        <button type="button" onClick={() => input.current?.click()}>
          Choose a file
        </button>
        {CAN_TAKE && (
          <button type="button" onClick={() => camera.current?.click()}>
            Take a photo
          </button>
        )}
        <input ref={input} type="file" accept="image/*" hidden aria-label="Picture file" onChange={choose} />
        <input
          ref={camera}
          type="file"
          accept="image/*"
          capture="environment"
          hidden
          aria-label="Photo"
          onChange={choose}
        />
      </div>
    </div>
  );
}

/** Shows the picture, or says that the browser cannot show its format. */
function Preview({ picture }: { picture: Picture | undefined }) {
  const [shown, setShown] = useState<{ url: string; picture: Picture }>();
  const [broken, setBroken] = useState<Picture>();
  useEffect(() => {
    if (!picture) return;
    const url = URL.createObjectURL(picture.blob);
    setShown({ url, picture });
    return () => URL.revokeObjectURL(url);
  }, [picture]);
  return (
    <div class="preview">
      {shown && broken !== shown.picture && (
        <img src={shown.url} alt={shown.picture.name} onError={() => setBroken(shown.picture)} />
      )}
      {shown && broken === shown.picture && (
        <p class="quiet">
          {shown.picture.name}, {bytes(shown.picture.blob.size)}: this browser cannot show it; the service may read it
          all the same.
        </p>
      )}
    </div>
  );
}
