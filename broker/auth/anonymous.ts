/** Everybody is let in, as whom they say they are: where the configuration asks for nothing. */
import { plainIdentity } from '../../base/identity.ts';
import { type Authenticator, accepted, type Credentials, type Verdict } from './authenticator.ts';

export const anonymous: Authenticator = {
  method: 'none',
  authenticate({ clientId, username }: Credentials): Verdict {
    return accepted(plainIdentity({ name: clientId, username, method: 'none' }));
  },
};
