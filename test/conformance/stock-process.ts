/** The embedded broker as it comes, as a process of its own: for a case that may end the process. */
import { openStock } from './stock-server.ts';

const server = await openStock();
process.on('disconnect', () => process.exit());
process.send?.(server.port);
