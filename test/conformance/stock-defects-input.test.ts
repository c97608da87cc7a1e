/** Bad input: each guarantee held by Trunkline, and able to fail. */
import { inputCases } from './cases/input.ts';
import { runCases } from './run-cases.ts';

runCases(inputCases);
