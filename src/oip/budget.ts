/**
 * The budget for checks before the body is read, if its header has none. Parameters in the body may still bring one, so
 * only what no budget could change is refused.
 */
export const ANY_BUDGET = 'strict=?0';
