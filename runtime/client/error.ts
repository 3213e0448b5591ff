// What a node has answered that is no success: its problem document (RFC 9457) as an error.

export class ClientError extends Error {
  override readonly name = "ClientError";
  /** Stable: `EDDY_…`, listed in docs/errors.md; `EDDY_HTTP_<status>` where the answer was no problem document. */
  readonly code: string;
  /** HTTP status. */
  readonly status: number;
  /** Where the projection is, where a read did not want to wait any longer for it (`EDDY_PROJECTION_BEHIND`). */
  readonly position: string | undefined;

  constructor(code: string, status: number, message: string, position?: string) {
    super(message);
    this.code = code;
    this.status = status;
    this.position = position;
  }
}

/** The error that a response tells. */
export async function errorOf(response: Response): Promise<ClientError> {
  const { status, headers } = response;
  const position = headers.get("eddy-position") ?? undefined;
  return problemIn(await response.json().catch(() => undefined), position, status);
}

/** The error that a problem document tells; its status is that of the response, where it is one. */
export function problemIn(problem: unknown, position?: string, answered?: number): ClientError {
  const told = typeof problem === "object" && problem !== null ? problem : {};
  const status = answered ?? ("status" in told ? Number(told.status) : 500);
  const code = "code" in told ? String(told.code) : `EDDY_HTTP_${status}`;
  const detail = "detail" in told ? String(told.detail) : `the node answered ${status}`;
  return new ClientError(code, status, detail, position);
}
