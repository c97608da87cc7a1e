/** What a client is told when its credentials do not let it in: no more than it has to know. */
import type { Refusal } from '../connection/dialect.ts';
import { connackCodes } from '../connection/frames.ts';
import { reasonCodes } from '../mqtt5/reason-codes.ts';
import type { RefusalReason } from './authenticator.ts';

const refusals: Readonly<Record<RefusalReason, Refusal>> = {
  credentials: {
    returnCode: connackCodes.badCredentials,
    reasonCode: reasonCodes.badUserNameOrPassword,
    reasonString: '',
  },
  'credentials-expired': {
    returnCode: connackCodes.notAuthorized,
    reasonCode: reasonCodes.notAuthorized,
    reasonString: 'The credential has expired.',
  },
  'client-id-foreign': {
    returnCode: connackCodes.identifierRejected,
    reasonCode: reasonCodes.clientIdentifierNotValid,
    reasonString: 'The client identifier does not belong to the credential.',
  },
  'identity-disabled': {
    returnCode: connackCodes.notAuthorized,
    reasonCode: reasonCodes.banned,
    reasonString: 'The client is not let in at present.',
  },
  'credentials-throttled': {
    returnCode: connackCodes.serverUnavailable,
    reasonCode: reasonCodes.connectionRateExceeded,
    reasonString: 'Too many attempts failed: come again later.',
  },
  'authentication-unavailable': {
    returnCode: connackCodes.serverUnavailable,
    reasonCode: reasonCodes.serverUnavailable,
    reasonString: 'Credentials cannot be checked at present: come again later.',
  },
};

export function refusalOf(reason: RefusalReason): Refusal {
  return refusals[reason];
}
