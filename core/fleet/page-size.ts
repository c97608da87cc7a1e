/** How many rows a page has. */
import { TrunklineError } from '../../base/errors.ts';

const pageSizeDefault = 50;
const pageSizeMax = 1_000;

/** 0 means 50. Throws `query-invalid`. */
export function checkedPageSize(pageSize: number): number {
  if (pageSize === 0) return pageSizeDefault;
  if (Number.isInteger(pageSize) && pageSize > 0 && pageSize <= pageSizeMax) return pageSize;
  throw new TrunklineError(
    'query-invalid',
    `page_size is ${pageSize}; give 1 to ${pageSizeMax}, or 0 for ${pageSizeDefault}.`,
  );
}
