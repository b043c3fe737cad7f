// The interface by which every layer of the shim says something to the operator. The writer behind it (logrus text to
// the bundle's log FIFO, and a ring in memory) belongs to src/shim.

export type LogFields = Readonly<Record<string, string | number | bigint | boolean>>;

export interface Log {
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
}
