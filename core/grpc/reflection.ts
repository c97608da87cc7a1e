/**
 * gRPC server reflection, v1 and v1alpha, over the true descriptors, so that tools such as
 * `buf curl` and grpcurl can list and call what is served without the .proto files.
 */
import {
  type Server,
  type ServerDuplexStream,
  type ServiceDefinition,
  status,
} from '@grpc/grpc-js';
import type { DescriptorFiles } from './descriptor-files.ts';
import {
  decodeReflectionRequest,
  encodeReflectionResponse,
  type ReflectionAnswer,
  type ReflectionRequest,
  type ReflectionResponse,
} from './reflection-messages.ts';

type ReflectionCall = ServerDuplexStream<ReflectionRequest, ReflectionResponse>;

/** `services` are the full names to list; those without a descriptor are left out. */
export function addReflection(
  server: Server,
  descriptors: DescriptorFiles,
  services: readonly string[],
): void {
  const names = services.filter((name) => descriptors.hasSymbol(name));
  const answer = (request: ReflectionRequest) => answerOf(request, descriptors, names);
  for (const version of ['v1', 'v1alpha']) {
    server.addService(definitionOf(version), {
      serverReflectionInfo: (call: ReflectionCall) => serve(call, answer),
    });
  }
}

function serve(call: ReflectionCall, answer: (request: ReflectionRequest) => ReflectionAnswer) {
  call.on('data', (request: ReflectionRequest) => {
    if (call.write({ request, answer: answer(request) })) return;
    call.pause(); // Questions are small and answers are not: never more than one reader's pace.
    call.once('drain', () => call.resume());
  });
  call.on('end', () => call.end());
}

function answerOf(
  request: ReflectionRequest,
  descriptors: DescriptorFiles,
  services: readonly string[],
): ReflectionAnswer {
  const { question } = request;
  switch (question.kind) {
    case 'services':
      return { kind: 'services', names: services };
    case 'file':
      return filesOrError(descriptors.byName(question.name), `no file ${quoted(question.name)}`);
    case 'symbol':
      return filesOrError(
        descriptors.bySymbol(question.name),
        `no symbol ${quoted(question.name)}`,
      );
    case 'extension':
      return notFound(`no extension ${question.number} of ${quoted(question.name)}`);
    case 'extension-numbers':
      return descriptors.hasMessage(question.name)
        ? { kind: 'extension-numbers', type: question.name, numbers: [] }
        : notFound(`no message ${quoted(question.name)}`);
    case 'none':
      return {
        kind: 'error',
        code: status.INVALID_ARGUMENT,
        message: 'The request asks nothing that is known here.',
      };
  }
}

function filesOrError(files: Uint8Array[] | undefined, what: string): ReflectionAnswer {
  return files === undefined ? notFound(what) : { kind: 'files', files };
}

function notFound(what: string): ReflectionAnswer {
  return { kind: 'error', code: status.NOT_FOUND, message: `There is ${what}.` };
}

function quoted(name: string): string {
  return JSON.stringify(name.slice(0, 256));
}

function definitionOf(version: string): ServiceDefinition {
  return {
    serverReflectionInfo: {
      path: `/grpc.reflection.${version}.ServerReflection/ServerReflectionInfo`,
      requestStream: true,
      responseStream: true,
      requestSerialize: (request: ReflectionRequest) => Buffer.from(request.original),
      requestDeserialize: decodeReflectionRequest,
      responseSerialize: encodeReflectionResponse,
      // Only a client would need it; the type asks for it all the same.
      responseDeserialize: (bytes: Buffer) => bytes,
    },
  };
}
