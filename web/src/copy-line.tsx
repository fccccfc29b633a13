import { useRef, useState } from 'preact/hooks';

/** How long it says that it has copied. */
const SAID_MS = 2000;

export function CopyLine({ label, text }: { label: string; text: string }) {
  const field = useRef<HTMLTextAreaElement>(null);
  const [said, setSaid] = useState('');
  const copy = async () => {
    field.current?.select();
    // Without TLS browsers have no clipboard for pages, but on this machine: then what is selected can be copied.
    const done = await (navigator.clipboard?.writeText(text).then(
      () => true,
      () => false,
    ) ?? false);
    setSaid(done ? 'Copied' : 'Selected: copy it with your keyboard');
    setTimeout(() => setSaid(''), SAID_MS);
  };
  return (
    <div class="copy">
      <label>
        <span class="quiet small">{label}</span>
        <textarea ref={field} readOnly rows={3} spellcheck={false} value={text} />
      </label>
      <button type="button" onClick={copy}>
        Copy
      </button>
      <span class="quiet small" role="status">
        {said}
      </span>
    </div>
  );
}
