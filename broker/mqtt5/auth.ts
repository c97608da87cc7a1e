/**
 * Enhanced authentication on one connection: the dialogue that CONNECT begins, and each that the
 * client begins anew. One step at a time: while the method thinks, `isBusy` holds the input.
 * Source: MQTT 5 sections 3.15 and 4.12.
 */

import type { Identity } from '../../base/identity.ts';
import { reauthenticateMs } from '../../base/limits.ts';
import type { RefusalReason } from '../auth/authenticator.ts';
import { refusalOf } from '../auth/refusals.ts';
import type {
  AuthenticationExchange,
  AuthenticationStep,
  EnhancedAuthenticate,
} from '../authenticate.ts';
import { Fields } from '../connection/fields.ts';
import type { FrameScanner } from '../connection/frame-scanner.ts';
import { takeProperties } from './properties.ts';
import { type ReasonCode, reasonCodes } from './reason-codes.ts';

export interface Auth {
  readonly reasonCode: number;
  readonly method: string;
  readonly data: Buffer | null;
}

/** What comes of the steps; called in a later turn. */
export interface AuthOutcome {
  /** An AUTH is due to the client. */
  answer(reasonCode: ReasonCode, data: Buffer | null): void;
  /** The dialogue of CONNECT ended well. */
  accepted(data: Buffer | null, identity: Identity): void;
  /** A later dialogue ended well; false when whom it proves may not have the session. */
  renewed(identity: Identity): boolean;
  refused(reasonCode: ReasonCode): void;
}

export interface AuthClient {
  readonly method: string;
  readonly clientId: string;
  readonly username: string;
  readonly remoteAddress: string;
}

/** What a client's AUTH says, or the reason code of what answers it. */
export function readAuth(frame: FrameScanner): Auth | ReasonCode {
  if (frame.flags !== 0) return reasonCodes.malformedPacket; // [MQTT-3.15.1-1]
  const fields = new Fields(frame.buffer, frame.bodyStart, frame.end);
  // Without a body it is success, which only a server says (section 3.15.2.1).
  if (fields.isDone) return reasonCodes.protocolError;
  const reasonCode = fields.byte();
  const properties = fields.isDone ? {} : takeProperties(fields, 'auth');
  if (typeof properties === 'number') return properties;
  if (!fields.isDone) return reasonCodes.malformedPacket;
  const { authenticationMethod: method, authenticationData } = properties;
  if (method === undefined) return reasonCodes.protocolError;
  return { reasonCode, method, data: authenticationData ?? null };
}

export class AuthDialogue {
  readonly #enhanced: EnhancedAuthenticate;
  readonly #client: AuthClient;
  readonly #outcome: AuthOutcome;
  #exchange: AuthenticationExchange | null;
  #hasConnected = false;
  #isBusy = false;
  /** Runs while a client that is connected authenticates anew; before, CONNECT has its own. */
  #timer: NodeJS.Timeout | null = null;

  private constructor(
    enhanced: EnhancedAuthenticate,
    parts: { client: AuthClient; outcome: AuthOutcome; exchange: AuthenticationExchange },
  ) {
    this.#enhanced = enhanced;
    this.#client = parts.client;
    this.#outcome = parts.outcome;
    this.#exchange = parts.exchange;
  }

  /** Takes the first step with the data of CONNECT; null when the method is not offered. */
  static begin(
    enhanced: EnhancedAuthenticate,
    client: AuthClient,
    connect: { data: Buffer | null; outcome: AuthOutcome },
  ): AuthDialogue | null {
    const exchange = enhanced.begin(client.method, client);
    if (exchange === null) return null;
    const { outcome, data } = connect;
    const dialogue = new AuthDialogue(enhanced, { client, outcome, exchange });
    dialogue.#step(exchange, data);
    return dialogue;
  }

  get isBusy(): boolean {
    return this.#isBusy;
  }

  /** An AUTH of the client; the reason code of what is wrong with it, or null. */
  take(frame: FrameScanner): ReasonCode | null {
    const auth = readAuth(frame);
    if (typeof auth === 'number') return auth;
    if (auth.method !== this.#client.method) return reasonCodes.protocolError; // [MQTT-4.12.1-1]
    const exchange = this.#exchangeFor(auth.reasonCode);
    if (exchange === null) return reasonCodes.protocolError;
    this.#exchange = exchange;
    const { data } = auth;
    this.#step(exchange, data === null ? null : Buffer.from(data));
    return null;
  }

  #exchangeFor(reasonCode: number): AuthenticationExchange | null {
    const present = this.#exchange;
    if (reasonCode === reasonCodes.continueAuthentication) return present;
    const isAnew = reasonCode === reasonCodes.reauthenticate && present === null;
    if (!isAnew) return null;
    this.#timer = setTimeout(
      () => this.#outcome.refused(reasonCodes.notAuthorized),
      reauthenticateMs,
    );
    return this.#enhanced.begin(this.#client.method, this.#client);
  }

  close(): void {
    this.#stopTimer();
  }

  #stopTimer(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
  }

  #step(exchange: AuthenticationExchange, data: Buffer | null): void {
    this.#isBusy = true;
    // In a later turn, also when the method throws at once.
    Promise.resolve()
      .then(() => exchange.step(data))
      .then(
        (step) => this.#settle(step),
        // A method that fails lets nobody in.
        () => this.#settle(null),
      );
  }

  #settle(step: AuthenticationStep | null): void {
    this.#isBusy = false;
    switch (step?.kind) {
      case 'challenge':
        this.#outcome.answer(reasonCodes.continueAuthentication, step.data);
        return;
      case 'accepted':
        this.#accept(step.data, step.identity);
        return;
      case 'refused':
        this.#refuse(step.reason);
        return;
      case undefined:
        this.#outcome.refused(reasonCodes.unspecifiedError);
    }
  }

  #refuse(reason: RefusalReason | undefined): void {
    const { notAuthorized } = reasonCodes;
    this.#outcome.refused(reason === undefined ? notAuthorized : refusalOf(reason).reasonCode);
  }

  #accept(data: Buffer | null, identity: Identity): void {
    this.#exchange = null;
    if (this.#hasConnected) {
      this.#stopTimer();
      if (this.#outcome.renewed(identity)) this.#outcome.answer(reasonCodes.success, data);
      else this.#outcome.refused(reasonCodes.notAuthorized);
      return;
    }
    this.#hasConnected = true;
    this.#outcome.accepted(data, identity);
  }
}
