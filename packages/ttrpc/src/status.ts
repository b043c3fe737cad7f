// How a call ends badly: the status codes that ttrpc shares with gRPC, and the one error class of this package.

/** Status codes as they go over the wire (google.rpc.Code). */
export const codes = {
  ok: 0,
  canceled: 1,
  unknown: 2,
  invalidArgument: 3,
  deadlineExceeded: 4,
  notFound: 5,
  alreadyExists: 6,
  permissionDenied: 7,
  resourceExhausted: 8,
  failedPrecondition: 9,
  aborted: 10,
  outOfRange: 11,
  unimplemented: 12,
  internal: 13,
  unavailable: 14,
  dataLoss: 15,
  unauthenticated: 16,
} as const;

/** A google.protobuf.Any that goes with a status. */
export interface StatusDetail {
  readonly typeUrl: string;
  readonly value: Uint8Array;
}

const noDetails: readonly StatusDetail[] = [];

/** A call that ended with a status other than OK: received from the peer, or made here (deadline, cancelled, closed). */
export class StatusError extends Error {
  readonly code: number;
  readonly details: readonly StatusDetail[];

  constructor(
    code: number,
    message: string,
    details: readonly StatusDetail[] = noDetails,
    options?: { cause?: unknown },
  ) {
    super(message);
    // Not by super(message, options): an engine of 2021 may lack it, and an absent cause shall not be a property.
    if (options?.cause !== undefined) this.cause = options.cause;
    this.code = code;
    this.details = details;
  }

  override get name(): string {
    return "StatusError";
  }
}

/** What a thrown thing becomes on the wire when nobody says otherwise: itself if it is a StatusError, else Unknown. */
export function statusOfThrown(thrown: unknown): StatusError {
  if (thrown instanceof StatusError) return thrown;
  const text = thrown instanceof Error ? thrown.message : String(thrown);
  return new StatusError(codes.unknown, text, noDetails, { cause: thrown });
}

/** The refusal of a message above the limit, received or to be sent. */
export function tooLong(bytes: number, maxBytes: number): StatusError {
  return new StatusError(codes.resourceExhausted, `message of ${bytes} bytes is above the limit of ${maxBytes}`);
}
