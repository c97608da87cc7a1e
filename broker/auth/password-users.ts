/** User name and password against the users of the configuration. */
import { createHash, timingSafeEqual } from 'node:crypto';
import type { Config } from '../../base/config.ts';
import { plainIdentity } from '../../base/identity.ts';
import {
  type Authenticator,
  accepted,
  type Credentials,
  refused,
  unknown,
  type Verdict,
} from './authenticator.ts';

const nobody = Buffer.alloc(32);
const empty = Buffer.alloc(0);

export class PasswordUsers implements Authenticator {
  readonly method = 'password';
  /** Devices' secrets are random, so a plain digest does; the comparison takes constant time. */
  readonly #digests = new Map<string, Buffer>();

  constructor(users: Config['auth']['users']) {
    for (const user of users) {
      this.#digests.set(user.username, Buffer.from(user.password_sha256, 'hex'));
    }
  }

  authenticate({ username, password }: Credentials): Verdict {
    const expected = this.#digests.get(username);
    const given = createHash('sha256')
      .update(password ?? empty)
      .digest();
    const isRight = timingSafeEqual(given, expected ?? nobody);
    if (expected === undefined) return unknown;
    if (!isRight) return refused('credentials');
    return accepted(plainIdentity({ name: username, method: this.method }));
  }
}
