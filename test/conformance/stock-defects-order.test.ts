/** Acknowledgements and order: each guarantee held by Trunkline, and able to fail. */
import { acknowledgementCases } from './cases/acknowledgement.ts';
import { orderCases } from './cases/order.ts';
import { runCases } from './run-cases.ts';

runCases([...acknowledgementCases, ...orderCases]);
