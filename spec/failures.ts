/**
 * The closed list of failures. The type is what workflows and people decide by; `retryable` says whether
 * Temporal tries the activity again by itself. A permanent one parks the migration in `needs-attention`.
 */
export const FAILURES = {
  InvalidSpec: { retryable: false },
  SecretUnavailable: { retryable: false },
  SearchAttributesMissing: { retryable: false },
  PlanChanged: { retryable: false },
  PreflightFailed: { retryable: false },
  /** Refused, timed out or dropped connections; the server restarting. */
  DatabaseUnreachable: { retryable: true },
  /** The server said that it has no space left. */
  DiskFull: { retryable: true },
  AuthenticationFailed: { retryable: false },
  PermissionDenied: { retryable: false },
  /** Another migration holds some of these tables. */
  ScopeTaken: { retryable: false },
  TargetNotEmpty: { retryable: false },
  SchemaMismatch: { retryable: false },
  UnsupportedTable: { retryable: false },
  CopyFailed: { retryable: true },
  ReplicationBroken: { retryable: false },
  ValidationDiffers: { retryable: false },
  /** Users fare worse than a gate allows, or it could not be proven that they don't. */
  GateFailed: { retryable: false },
  /** The guard refused: another attempt, epoch or state than this one may act in. */
  AuthorityLost: { retryable: false },
  /** Another system identifier or timeline than when the migration began. */
  SystemChanged: { retryable: false },
  /** A pooler or other endpoint could not be moved. */
  EndpointFailed: { retryable: true },
  /** A way back that could not be proven, before anything was switched. */
  NoWayBack: { retryable: false },
  /** A switch that is past its point of no return waits for a standby; nobody takes writes meanwhile. */
  StandbyBehind: { retryable: false },
  /** The API of AWS throttled or didn't answer. */
  AwsUnavailable: { retryable: true },
  /** The API of AWS refused a call as it was made, and would again. */
  AwsRefused: { retryable: false },
  /** Name servers that have to be asked didn't answer. */
  DnsUnavailable: { retryable: true },
  /** Somebody else changed the listener or record since; nothing was written. */
  TrafficChanged: { retryable: false },
  /** Green does worse than its gates allow, and the specification says to ask. */
  TrafficBreached: { retryable: false },
  /** The traffic doesn't go where the specification says that it goes. */
  TrafficMismatch: { retryable: false },
  /** A certificate was not issued, or what it needs is in somebody else's hands. */
  CertificateFailed: { retryable: false },
  /** A lock could not be had in time; nothing changed. */
  Blocked: { retryable: true },
  /** A phase that ran alone was aborted; what it had done is undone. */
  Aborted: { retryable: false },
  /** An undo failed for good: the message lists what remains. */
  UndoIncomplete: { retryable: false },
  Unexpected: { retryable: true },
} as const satisfies Record<string, { retryable: boolean }>;

export type FailureType = keyof typeof FAILURES;

export function isFailureType(text: string | null | undefined): text is FailureType {
  return text !== null && text !== undefined && Object.hasOwn(FAILURES, text);
}
