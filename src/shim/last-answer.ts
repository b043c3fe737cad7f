// The answer to the event that was under way when the image before crashed: read from its connection, which is closed then.

import { answerOfFrame } from "ttrpc";
import { isErrno } from "../sys/errno.ts";
import { POLLIN } from "../sys/flags.ts";
import type { Fd, Sys } from "../sys/sys.d.ts";

/** The daemon has long answered, or answers at once; or the answer was taken by the image before, unseen. */
const answerWithinMs = 1_000;
const longestAnswer = 4096;

/** Whether the daemon has taken the event. Never rejects. */
export function lastAnswer(sys: Sys, takeFd: Fd): Promise<boolean> {
  return new Promise((resolve) => {
    const bytes = new Uint8Array(longestAnswer);
    let length = 0;
    const end = (isTaken: boolean): void => {
      sys.timerStop(timer);
      sys.pollStop(takeFd);
      sys.close(takeFd);
      resolve(isTaken);
    };
    const timer = sys.timerStart(answerWithinMs, () => end(false));
    const polled = sys.pollStart(takeFd, POLLIN, () => {
      const count = sys.read(takeFd, bytes, length, bytes.length - length);
      if (isErrno(count) || count === 0) {
        end(false);
        return;
      }
      length += count;
      const answer = answerOfFrame(bytes.subarray(0, length));
      if (answer !== "incomplete") end(answer === "ok");
    });
    if (isErrno(polled)) end(false);
  });
}
