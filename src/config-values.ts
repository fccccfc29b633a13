/** Schemas and checks of single values in the configuration. */
import { isIP } from 'node:net';
import { z } from 'zod';

/**
 * Schema of a number in decimal digits. Other texts that JavaScript converts to a number (0x10, 1e2, ' 5', the empty
 * text) are refused, as they are more often a mistake than meant. digits: pattern of the text.
 */
const decimal = <T extends z.ZodType>(digits: RegExp, number: T) =>
  z.preprocess((text) => (typeof text === 'string' && digits.test(text) ? Number(text) : text), number);

/** Schema of a whole number within bounds, for a setting or a query parameter. */
export const wholeNumber = (least: number, most: number) =>
  decimal(
    /^\d+$/,
    z.number(`expected a whole number from ${least} to ${most}, in decimal digits alone`).int().min(least).max(most),
  );

/** Schema of a share. */
export const share = decimal(/^\d+(\.\d+)?$/, z.number('expected a share from 0 to 1, such as 0.05').min(0).max(1));

/**
 * Checks an origin as browsers send it: scheme, host, and the port unless it is the scheme's default (RFC 6454, 6.2).
 */
export function isOrigin(text: string, context: z.RefinementCtx): void {
  const parsed = URL.canParse(text) ? new URL(text) : undefined;
  const web = parsed?.protocol === 'http:' || parsed?.protocol === 'https:';
  const right = text.includes('*')
    ? undefined
    : web
      ? parsed.origin
      : /^[a-z][a-z\d+.-]*:\/\/[^\s/,]+$/.test(text)
        ? text
        : undefined;
  if (text === '*' || text === right) return;
  const expected = right === undefined ? 'such as https://example.com' : right;
  context.addIssue({ code: 'custom', message: `${text} is no origin as browsers send it; expected ${expected}` });
}

/** Names of ranges that fastify knows (proxy-addr). */
export const PROXIES = ['loopback', 'linklocal', 'uniquelocal'];

/** Checks a list of addresses and ranges. `true`, which fastify knows as well, would believe every client. */
export function areProxies(text: string, context: z.RefinementCtx): void {
  for (const entry of text.split(',').map((part) => part.trim())) {
    const [address = '', prefix, ...more] = entry.split('/');
    const bits = address.includes('%') ? 0 : ({ 4: 32, 6: 128 }[isIP(address)] ?? 0);
    const isPrefix = prefix === undefined || (/^[1-9]\d{0,2}$/.test(prefix) && Number(prefix) <= bits);
    if (PROXIES.includes(entry) || (bits > 0 && isPrefix && more.length === 0)) continue;
    const expected = `expected addresses or ranges such as 10.0.0.0/8, or ${PROXIES.join(', ')}`;
    context.addIssue({ code: 'custom', message: `${entry || 'an empty part'} is no address of a proxy; ${expected}` });
  }
}
