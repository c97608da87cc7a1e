/** The pages under docs/ that are made from the code, as text. */
import { configurationPage } from './configuration-page.ts';
import { dependenciesPage } from './dependencies-page.ts';

export interface Page {
  readonly path: string;
  readonly text: string;
}

export function generatedPages(): Page[] {
  return [
    { path: 'docs/configuration.md', text: configurationPage() },
    { path: 'docs/dependencies.md', text: dependenciesPage() },
  ];
}
