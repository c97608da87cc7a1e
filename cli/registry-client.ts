/** RegistryService as the command uses it: refusals in the core's own words. */
import { Metadata, type ServiceError, status } from '@grpc/grpc-js';
import { type ErrorCode, TrunklineError } from '../base/errors.ts';
import {
  type CreateDeviceResponse,
  type Device,
  RegistryServiceClient,
} from '../proto/gen/trunkline/v1/registry.ts';
import { channelOf } from '../proto/tls-credentials.ts';

const answerMs = 15_000;

const codes = new Map<status, ErrorCode>([
  [status.NOT_FOUND, 'not-found'],
  [status.ALREADY_EXISTS, 'device-exists'],
  [status.INVALID_ARGUMENT, 'device-invalid'],
  [status.UNAUTHENTICATED, 'not-authorized'],
  [status.UNIMPLEMENTED, 'unsupported'],
]);

type Callback<T> = (error: ServiceError | null, answer: T) => void;

export class RegistryClient {
  readonly #address: string;
  readonly #client: RegistryServiceClient;
  readonly #metadata = new Metadata();

  constructor({ core, token }: { readonly core: string; readonly token: string }) {
    this.#address = core;
    const { address, credentials, options } = channelOf(core);
    this.#client = new RegistryServiceClient(address, credentials, options);
    if (token !== '') this.#metadata.set('authorization', `Bearer ${token}`);
  }

  create(device: Device): Promise<CreateDeviceResponse> {
    const client = this.#client;
    return this.#ask((...then) => client.createDevice({ device }, ...then));
  }

  async import(devices: readonly Device[]): Promise<CreateDeviceResponse[]> {
    const client = this.#client;
    const request = { devices: [...devices] };
    const answer = await this.#ask<{ devices: CreateDeviceResponse[] }>((...then) =>
      client.importDevices(request, ...then),
    );
    return answer.devices;
  }

  async get(name: string): Promise<Device> {
    const client = this.#client;
    return deviceOf(await this.#ask((...then) => client.getDevice({ name }, ...then)));
  }

  async update(device: Device): Promise<Device> {
    const client = this.#client;
    return deviceOf(await this.#ask((...then) => client.updateDevice({ device }, ...then)));
  }

  rotate(name: string): Promise<CreateDeviceResponse> {
    const client = this.#client;
    return this.#ask((...then) => client.rotateCredential({ name }, ...then));
  }

  async remove(name: string): Promise<void> {
    const client = this.#client;
    await this.#ask((...then) => client.deleteDevice({ name }, ...then));
  }

  async all(): Promise<Device[]> {
    const client = this.#client;
    const devices: Device[] = [];
    let pageToken = '';
    do {
      const request = { pageSize: 1_000, pageToken };
      const page = await this.#ask<{ devices: Device[]; nextPageToken: string }>((...then) =>
        client.listDevices(request, ...then),
      );
      devices.push(...page.devices);
      pageToken = page.nextPageToken;
    } while (pageToken !== '');
    return devices;
  }

  close(): void {
    this.#client.close();
  }

  #ask<T>(
    call: (metadata: Metadata, options: { deadline: number }, done: Callback<T>) => unknown,
  ): Promise<T> {
    return new Promise((resolve, reject) => {
      call(this.#metadata, { deadline: Date.now() + answerMs }, (error, answer) => {
        if (error === null) resolve(answer);
        else reject(this.#faultOf(error));
      });
    });
  }

  #faultOf({ code, details }: ServiceError): TrunklineError {
    const known = codes.get(code);
    if (known !== undefined) return new TrunklineError(known, details);
    return new TrunklineError(
      'unreachable',
      `The core at ${this.#address} cannot be reached (${details}). Start one with \`trunkline up\`, or name another with --core HOST:PORT.`,
    );
  }
}

function deviceOf({ device }: { readonly device: Device | undefined }): Device {
  if (device !== undefined) return device;
  throw new TrunklineError('protocol', 'The core answered without a device.');
}
