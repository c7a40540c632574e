// How a host call can end, other than well.

export const NOT_FOUND = 1;
export const BAD_ARGUMENT = 2;
export const PARSE_FAILURE = 4;
export const INVALID_MEMORY_ACCESS = 6;
export const EMPTY = 7;
export const CAS_MISMATCH = 8;

/** The call returns this status. */
export class Status extends Error {
  constructor(status) {
    super(`status ${status}`);
    this.status = status;
  }
}

/** The call names memory that the module does not have. */
export class OutOfBounds extends Error {}

/** The call ends the VM. */
export class Trap extends Error {}

/** Whether it is the VM's failure that was thrown, and not a mistake of this host. */
export function isTrap(error) {
  // Where a stack overflows, engines throw a RangeError, or what Firefox calls an InternalError.
  const isOverflow = error instanceof RangeError || error?.name === "InternalError";
  return error instanceof WebAssembly.RuntimeError || error instanceof Trap || isOverflow;
}
