/** Load: each guarantee held by Trunkline, and able to fail. */
import { boundsCases } from './cases/bounds.ts';
import { runCases } from './run-cases.ts';

runCases(boundsCases);
