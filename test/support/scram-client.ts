/** The client's side of SCRAM-SHA-256, by the letter of RFC 5802. */
import { createHash, createHmac, pbkdf2Sync, randomBytes } from 'node:crypto';
import { Client5, type Packet5 } from './client-5.ts';

const method = 'SCRAM-SHA-256';

function hmac(key: Buffer, text: string): Buffer {
  return createHmac('sha256', key).update(text).digest();
}

export class ScramClient {
  readonly client: Client5;
  readonly #who: { readonly username: string; readonly password: string };
  #bare = '';

  private constructor(client: Client5, who: { username: string; password: string }) {
    this.client = client;
    this.#who = who;
  }

  static async open(
    port: number,
    who: { username: string; password: string },
  ): Promise<ScramClient> {
    return new ScramClient(await Client5.open(port), who);
  }

  /** Goes through CONNECT up to the packet that answers the proof. */
  async connect(clientId: string): Promise<Packet5> {
    const properties = { authenticationMethod: method, authenticationData: this.first() };
    const challenge = await this.client.connect(clientId, { properties });
    return challenge.cmd === 'auth' ? this.answer(challenge) : challenge;
  }

  first(): Buffer {
    const nonce = randomBytes(12).toString('base64');
    this.#bare = `n=${this.#who.username.replaceAll('=', '=3D').replaceAll(',', '=2C')},r=${nonce}`;
    return Buffer.from(`n,,${this.#bare}`);
  }

  async answer(challenge: Packet5): Promise<Packet5> {
    const authenticationData = this.final(dataOf(challenge).toString());
    const properties = { authenticationMethod: method, authenticationData };
    this.client.send({ cmd: 'auth', reasonCode: 0x18, properties });
    return this.client.next();
  }

  async again(): Promise<Packet5> {
    const properties = { authenticationMethod: method, authenticationData: this.first() };
    this.client.send({ cmd: 'auth', reasonCode: 0x19, properties });
    return this.client.next();
  }

  final(challenge: string): Buffer {
    const fields = new Map(challenge.split(',').map((one) => [one[0], one.slice(2)]));
    const salt = Buffer.from(fields.get('s') ?? '', 'base64');
    const rounds = Number(fields.get('i'));
    const salted = pbkdf2Sync(this.#who.password, salt, rounds, 32, 'sha256');
    const clientKey = hmac(salted, 'Client Key');
    const storedKey = createHash('sha256').update(clientKey).digest();
    const withoutProof = `c=biws,r=${fields.get('r')}`;
    const signature = hmac(storedKey, `${this.#bare},${challenge},${withoutProof}`);
    const proof = Buffer.from(clientKey.map((byte, at) => byte ^ (signature[at] as number)));
    return Buffer.from(`${withoutProof},p=${proof.toString('base64')}`);
  }
}

export function dataOf({ properties }: Packet5): Buffer {
  return (properties?.['authenticationData'] as Buffer | undefined) ?? Buffer.alloc(0);
}
