/** Schemas of numbers in texts: settings, and parameters of a query. */
import { z } from 'zod';

/**
 * Schema of a number in decimal digits. Other texts that JavaScript converts to a number (0x10, 1e2, ' 5', the empty
 * text) are refused, as they are more often a mistake than meant. digits: pattern of the text.
 */
const decimal = <T extends z.ZodType>(digits: RegExp, number: T) =>
  z.preprocess((text) => (typeof text === 'string' && digits.test(text) ? Number(text) : text), number);

/** Schema of a whole number within bounds. */
export const wholeNumber = (least: number, most: number) =>
  decimal(
    /^\d+$/,
    z.number(`expected a whole number from ${least} to ${most}, in decimal digits alone`).int().min(least).max(most),
  );

export const share = decimal(/^\d+(\.\d+)?$/, z.number('expected a share from 0 to 1, such as 0.05').min(0).max(1));
