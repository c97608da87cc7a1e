/** An authority for a test and certificates of its own, made by openssl: no key is in the repository. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

export interface IssuedFiles {
  readonly cert: string;
  readonly key: string;
  readonly ca: string;
}

export interface Issued {
  /** Common name. */
  readonly name: string;
  /** Such as `IP:127.0.0.1`, `URI:trunkline://edge/edge-1`. */
  readonly alternatives?: readonly string[];
  /** It has ended. */
  readonly isOver?: boolean;
}

const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
const run = (args: readonly string[]) => execFileSync('openssl', args, { stdio: 'ignore' });

export class TestAuthority {
  readonly ca: string;
  readonly #folder: string;
  readonly #key: string;
  #count = 0;

  constructor(folder: string, name = 'Test authority') {
    this.#folder = join(folder, name.replaceAll(' ', '-'));
    mkdirSync(this.#folder);
    this.ca = join(this.#folder, 'ca.pem');
    this.#key = join(this.#folder, 'ca.key');
    const subject = ['-subj', `/CN=${name}`, '-days', '2'];
    run(['req', '-x509', ...newKey, ...subject, '-keyout', this.#key, '-out', this.ca]);
  }

  issue({ name, alternatives = ['IP:127.0.0.1', 'DNS:localhost'], isOver }: Issued): IssuedFiles {
    const at = (kind: string) => join(this.#folder, `${name}-${this.#count}.${kind}`);
    this.#count++;
    run(['req', ...newKey, '-subj', `/CN=${name}`, '-keyout', at('key'), '-out', at('csr')]);
    writeFileSync(at('ext'), `subjectAltName=${alternatives.join(',')}\n`);
    const signed = ['-CA', this.ca, '-CAkey', this.#key, '-CAcreateserial', '-extfile', at('ext')];
    // It ended a day before it began: openssl has no other way to say so in every version.
    const days = isOver ? '-1' : '2';
    run(['x509', '-req', '-in', at('csr'), ...signed, '-days', days, '-out', at('pem')]);
    return { cert: at('pem'), key: at('key'), ca: this.ca };
  }

  /** The list of what it has taken back. */
  revoke(issued: readonly IssuedFiles[]): string {
    const at = (name: string) => join(this.#folder, name);
    const settings = ['database = index', 'crlnumber = number', 'default_crl_days = 2'];
    const own = settings.map((line) =>
      line.replace(/= (index|number)/, (_, name) => `= ${at(name)}`),
    );
    writeFileSync(
      at('ca.cnf'),
      `[ca]\ndefault_ca = own\n[own]\ndefault_md = sha256\n${own.join('\n')}\n`,
    );
    writeFileSync(at('index'), '');
    writeFileSync(at('number'), '01\n');
    const ca = ['ca', '-config', at('ca.cnf'), '-keyfile', this.#key, '-cert', this.ca];
    for (const { cert } of issued) run([...ca, '-revoke', cert]);
    run([...ca, '-gencrl', '-out', at('crl.pem')]);
    return at('crl.pem');
  }
}
