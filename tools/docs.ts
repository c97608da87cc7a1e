/** Writes the generated pages under docs/; `npm run check` fails when they are not current. */
import { writeFileSync } from 'node:fs';
import { generatedPages } from './pages.ts';

for (const page of generatedPages()) writeFileSync(page.path, page.text);
