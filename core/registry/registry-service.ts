/** RegistryService over gRPC. */
import { TrunklineError } from '../../base/errors.ts';
import type { Logger } from '../../base/log.ts';
import type { RegisteredDevice } from '../../base/registered-device.ts';
import type { Device, RegistryServiceServer } from '../../proto/gen/trunkline/v1/registry.ts';
import { checkedPageSize } from '../fleet/page-size.ts';
import { unary } from '../grpc/unary.ts';
import type { DeviceSpec, IssuedDevice, Registry } from './registry.ts';

/** `registry` throws where there is none. */
export function registryHandlers(registry: () => Registry, log: Logger): RegistryServiceServer {
  return {
    createDevice: unary(log, async ({ device }) => {
      const [issued] = await registry().create([specOf(device)]);
      return issuedMessage(issued as IssuedDevice);
    }),
    getDevice: unary(log, ({ name }) => ({ device: deviceMessage(registry().get(name)) })),
    listDevices: unary(log, ({ pageSize, pageToken }) => {
      const size = checkedPageSize(pageSize);
      const devices = registry().list(pageToken, size);
      const last = devices.at(-1)?.name ?? '';
      const isMore = devices.length === size && registry().list(last, 1).length > 0;
      return {
        devices: devices.map(deviceMessage),
        nextPageToken: isMore ? last : '',
        totalSize: registry().count,
      };
    }),
    updateDevice: unary(log, async ({ device }) => {
      return { device: deviceMessage(await registry().update(specOf(device))) };
    }),
    deleteDevice: unary(log, async ({ name }) => {
      await registry().remove(name);
      return {};
    }),
    rotateCredential: unary(log, async ({ name }) => issuedMessage(await registry().rotate(name))),
    importDevices: unary(log, async ({ devices }) => {
      const issued = await registry().create(devices.map(specOf));
      return { devices: issued.map(issuedMessage) };
    }),
  };
}

export function deviceMessage(device: RegisteredDevice): Device {
  const { name, roles, labels, isDisabled, createdAtMs, updatedAtMs, credentialVersion } = device;
  return {
    name,
    roles: [...roles],
    labels: [...labels].map(([label, value]) => ({ name: label, value })),
    disabled: isDisabled,
    createdAtMs,
    updatedAtMs,
    credentialVersion,
  };
}

function issuedMessage({ device, secret }: IssuedDevice) {
  return { device: deviceMessage(device), secret };
}

function specOf(device: Device | undefined): DeviceSpec {
  if (device === undefined) {
    throw new TrunklineError('device-invalid', 'The device is missing; its name is the least.');
  }
  const { name, roles, labels, disabled } = device;
  const known = new Map(labels.map((label) => [label.name, label.value]));
  return { name, roles: [...new Set(roles)], labels: known, isDisabled: disabled };
}
