/** Packet identifiers: the guarantee held by Trunkline, and able to fail. */
import { identifierCases } from './cases/identifier.ts';
import { runCases } from './run-cases.ts';

runCases(identifierCases);
