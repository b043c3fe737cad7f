// The door to the control service: its methods by name, on the same socket as Task. What is behind it is loaded by the first
// call, so that a shim that nobody looks into pays nothing for it.

import { CancelSource, type Handler, type Server } from "ttrpc";
import type { Sys } from "../sys/sys.d.ts";
import type { Logger } from "./logger.ts";
import type { TaskService } from "./task-service.ts";

export const controlService = "moor.control.v1.Control";

/** What the service looks at. */
export interface ControlParts {
  readonly sys: Sys;
  readonly log: Logger;
  readonly tasks: TaskService;
  /** All that the shim knows, by the names that the state dump has. */
  readonly dump: () => Readonly<Record<string, unknown>>;
}

/** In the order of the .proto file. */
export const controlMethods = ["Describe", "Inspect", "Logs", "SetLogLevel", "Exec", "Kill", "Attach"] as const;
export type ControlMethod = (typeof controlMethods)[number];

export class ControlDoor {
  readonly #parts: ControlParts;
  /** The shim leaves: calls without an end of their own end now. */
  readonly #closing = new CancelSource();
  #methods: Promise<Readonly<Record<ControlMethod, Handler>>> | undefined;

  constructor(parts: ControlParts) {
    this.#parts = parts;
  }

  register(server: Server): void {
    server.add(
      controlService,
      Object.fromEntries(controlMethods.map((name): [string, Handler] => [name, this.#lazy(name)])),
    );
  }

  /** Ends the calls that would go on as long as the shim does. */
  close(): void {
    this.#closing.cancel();
  }

  #lazy(name: ControlMethod): Handler {
    return {
      start: (call, payload, flags) => {
        this.#methods ??= this.#load();
        this.#methods.then(
          (methods) => methods[name].start(call, payload, flags),
          (thrown: unknown) => call.fail(thrown),
        );
      },
    };
  }

  async #load(): Promise<Readonly<Record<ControlMethod, Handler>>> {
    const { makeControl } = await import("./control.ts");
    return makeControl(this.#parts, this.#closing);
  }
}
