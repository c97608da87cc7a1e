/** Sessions and resuming: each guarantee held by Trunkline, and able to fail. */
import { sessionCases } from './cases/session.ts';
import { runCases } from './run-cases.ts';

runCases(sessionCases);
