/** A text field with a button that copies its text. */
import { useRef, useState } from 'preact/hooks';

/** How long "Copied" is shown, in ms. */
const SAID_MS = 2000;

export function CopyLine({ label, text }: { label: string; text: string }) {
  const field = useRef<HTMLTextAreaElement>(null);
  const [said, setSaid] = useState('');
  const copy = async () => {
    field.current?.select();
    // Without TLS, except on localhost, pages have no clipboard; the selected text can then be copied by keyboard.
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
