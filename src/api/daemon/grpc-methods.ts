// The bridge from a generated service definition to the plain table that @grpc/grpc-js makes a client of. Written by
// hand; it imports no gRPC library, and the shim does not import it.
//
//     const Tasks = makeClientConstructor(grpcMethods(TasksDefinition, toBuffer), TasksDefinition.fullName);

interface Codec {
  encode(message: never): { finish(): Uint8Array };
  decode(bytes: Uint8Array): unknown;
}

/** What ts-proto's generic definitions look like. */
export interface GenericDefinition {
  readonly fullName: string;
  readonly methods: Readonly<
    Record<
      string,
      {
        readonly name: string;
        readonly requestType: Codec;
        readonly requestStream: boolean;
        readonly responseType: Codec;
        readonly responseStream: boolean;
      }
    >
  >;
}

/** One entry of @grpc/grpc-js's ServiceDefinition. */
export interface GrpcMethod<Bytes extends Uint8Array> {
  readonly path: string;
  readonly originalName: string;
  readonly requestStream: boolean;
  readonly responseStream: boolean;
  requestSerialize(message: unknown): Bytes;
  requestDeserialize(bytes: Bytes): unknown;
  responseSerialize(message: unknown): Bytes;
  responseDeserialize(bytes: Bytes): unknown;
}

/** `toBytes` makes of the encoded message what the gRPC library wants: a Buffer under Node. */
export function grpcMethods<Bytes extends Uint8Array>(
  definition: GenericDefinition,
  toBytes: (encoded: Uint8Array) => Bytes,
): Record<string, GrpcMethod<Bytes>> {
  const methods: Record<string, GrpcMethod<Bytes>> = {};
  for (const [originalName, method] of Object.entries(definition.methods)) {
    const encode = (type: Codec, message: unknown): Bytes => toBytes(type.encode(message as never).finish());
    methods[method.name] = {
      path: `/${definition.fullName}/${method.name}`,
      originalName,
      requestStream: method.requestStream,
      responseStream: method.responseStream,
      requestSerialize: (message) => encode(method.requestType, message),
      requestDeserialize: (bytes) => method.requestType.decode(bytes),
      responseSerialize: (message) => encode(method.responseType, message),
      responseDeserialize: (bytes) => method.responseType.decode(bytes),
    };
  }
  return methods;
}
