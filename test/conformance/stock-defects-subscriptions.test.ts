/** Subscriptions: each guarantee held by Trunkline, and able to fail. */
import { subscriptionCases } from './cases/subscription.ts';
import { runCases } from './run-cases.ts';

runCases(subscriptionCases);
