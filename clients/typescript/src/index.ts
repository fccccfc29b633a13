export { type Budget, budgetHeader } from './budget.js';
export { type Classification, type ClassifyOptions, Dimmer, type DimmerOptions, type Model } from './client.js';
export type { Picture } from './picture.js';
export { type ProblemCode, ProblemError } from './problem.js';
export type { RetryOptions } from './retry.js';
export type { components, operations, paths } from './schema.js';
