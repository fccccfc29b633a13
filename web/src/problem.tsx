import type { ComponentChildren } from 'preact';
import type { Problem } from './api.ts';

interface Props {
  readonly problem: Problem;
  readonly retryAfterS?: number | undefined;
  readonly onRetry?: (() => void) | undefined;
  readonly children?: ComponentChildren;
}

/** Shows a refusal: the texts of the service's problem, and a button to try again. */
export function ProblemCard({ problem, retryAfterS, onRetry, children }: Props) {
  const { title, detail, expected, action } = problem;
  return (
    <div class="problem" role="alert">
      <h3>{title}</h3>
      <p>{sentence(detail)}</p>
      {expected && (
        <p>
          <span class="quiet">Expected:</span> {expected}
        </p>
      )}
      {action && (
        <p>
          <span class="quiet">What to do:</span> {action}
        </p>
      )}
      <div class="row">
        {children}
        {onRetry && (
          <button type="button" onClick={onRetry}>
            Try again{retryAfterS === undefined ? '' : ` (best in ${retryAfterS} s)`}
          </button>
        )}
      </div>
    </div>
  );
}

const sentence = (text: string) => `${text.charAt(0).toUpperCase()}${text.slice(1)}.`;
