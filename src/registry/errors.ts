import { EngineError, type ErrorKind } from '#errdefs';
import { familiarName, familiarString, type Reference } from '#reference';

/** One entry of a registry's `errors` array (distribution-spec v1.1 §error-codes). */
export interface RegistryDiagnostic {
  readonly code: string;
  readonly message: string;
}

interface Facts {
  /** HTTP status; absent when no answer came. */
  readonly status?: number;
  readonly diagnostics?: readonly RegistryDiagnostic[];
  /** Another try may succeed. */
  readonly retryable?: boolean;
  readonly retryAfterMs?: number;
  readonly cause?: unknown;
}

/** A registry refused, or could not be reached. `message` has Docker's wording where its clients show it. */
export class RegistryError extends EngineError {
  readonly status: number | undefined;
  readonly diagnostics: readonly RegistryDiagnostic[];
  readonly retryable: boolean;
  readonly retryAfterMs: number | undefined;
  /** Who refused what, once known: for messages about credentials. */
  asked: { readonly host: string; readonly scopes: readonly string[] } | undefined;

  constructor(kind: ErrorKind, message: string, facts: Facts = {}) {
    super(kind, message, { cause: facts.cause });
    this.name = 'RegistryError';
    this.status = facts.status;
    this.diagnostics = facts.diagnostics ?? [];
    this.retryable = facts.retryable ?? false;
    this.retryAfterMs = facts.retryAfterMs;
  }

  /** The codes of the diagnostics, `MANIFEST_UNKNOWN` say. */
  get codes(): readonly string[] {
    return this.diagnostics.map((diagnostic) => diagnostic.code);
  }
}

/** The registered codes, with the kind each means to us and the message used when a registry sends none. */
const knownCodes: Readonly<Record<string, readonly [ErrorKind, string]>> = {
  UNAUTHORIZED: ['unauthenticated', 'authentication required'],
  DENIED: ['permission-denied', 'requested access to the resource is denied'],
  NAME_UNKNOWN: ['not-found', 'repository name not known to registry'],
  MANIFEST_UNKNOWN: ['not-found', 'manifest unknown'],
  BLOB_UNKNOWN: ['not-found', 'blob unknown to registry'],
  MANIFEST_BLOB_UNKNOWN: ['unknown', 'blob unknown to registry'],
  BLOB_UPLOAD_INVALID: ['unknown', 'blob upload invalid'],
  BLOB_UPLOAD_UNKNOWN: ['unknown', 'blob upload unknown to registry'],
  DIGEST_INVALID: ['unknown', 'provided digest did not match uploaded content'],
  MANIFEST_INVALID: ['unknown', 'manifest invalid'],
  MANIFEST_UNVERIFIED: ['unknown', 'manifest failed signature verification'],
  NAME_INVALID: ['unknown', 'invalid repository name'],
  SIZE_INVALID: ['unknown', 'provided length did not match content length'],
  TAG_INVALID: ['unknown', 'manifest tag did not match URI'],
  TOOMANYREQUESTS: ['unavailable', 'too many requests'],
  UNAVAILABLE: ['unavailable', 'service unavailable'],
  UNSUPPORTED: ['unknown', 'The operation is unsupported.'],
};

const statusCodes: Readonly<Record<number, string>> = {
  401: 'UNAUTHORIZED',
  403: 'DENIED',
  429: 'TOOMANYREQUESTS',
};

export interface ErrorAnswer {
  readonly status: number;
  readonly statusText: string;
  readonly contentType: string;
  readonly body: string;
  readonly retryAfterMs?: number | undefined;
  /** RFC 6750 §3.1, from a Bearer challenge: `insufficient_scope` is how Docker Hub says that a repository is private or missing. */
  readonly bearerError?: string | undefined;
}

/** What an answer outside 2xx means. */
export function errorOf(answer: ErrorAnswer): RegistryError {
  const { status } = answer;
  const retryable = status === 429 || status === 408 || status >= 500;
  const facts = { status, retryable, ...(answer.retryAfterMs ? { retryAfterMs: answer.retryAfterMs } : {}) };
  if (status < 400 || status > 499) {
    return new RegistryError('unknown', `received unexpected HTTP status: ${status} ${answer.statusText}`, facts);
  }
  const diagnostics = [...bearerDiagnostics(answer.bearerError), ...diagnosticsOf(answer)];
  const [first] = diagnostics;
  const [kind] = knownCodes[first!.code] ?? ['unknown' as const];
  return new RegistryError(kind, describe(first!), { ...facts, diagnostics });
}

function bearerDiagnostics(error: string | undefined): RegistryDiagnostic[] {
  if (error === 'insufficient_scope') return [{ code: 'DENIED', message: knownCodes['DENIED']![1] }];
  if (error === 'invalid_token') return [{ code: 'UNAUTHORIZED', message: knownCodes['UNAUTHORIZED']![1] }];
  return [];
}

function diagnosticsOf(answer: ErrorAnswer): RegistryDiagnostic[] {
  const fallback = statusCodes[answer.status] ?? 'UNKNOWN';
  if (/^application\/([\w.-]+\+)?json/.test(answer.contentType)) {
    const entries = decodeErrors(answer.body, fallback);
    if (entries.length > 0) return entries;
  }
  const text = /^\s*[{[]/.test(answer.body) ? '' : answer.body.trim().slice(0, maxTextLength);
  return [{ code: fallback, message: text || knownCodes[fallback]?.[1] || `HTTP status ${answer.status}` }];
}

const maxTextLength = 1024;
const maxDiagnostics = 16;

function decodeErrors(body: string, fallback: string): RegistryDiagnostic[] {
  let document: unknown;
  try {
    document = JSON.parse(body);
  } catch {
    return [];
  }
  if (typeof document !== 'object' || document === null) return [];
  const { errors, details, message } = document as Record<string, unknown>;
  if (Array.isArray(errors)) return errors.slice(0, maxDiagnostics).map(decodeDiagnostic);
  const text = [details, message].find((value) => typeof value === 'string' && value !== '');
  return typeof text === 'string' ? [{ code: fallback, message: text.slice(0, maxTextLength) }] : [];
}

function decodeDiagnostic(value: unknown): RegistryDiagnostic {
  const { code, message } = (typeof value === 'object' && value !== null ? value : {}) as Record<string, unknown>;
  const known = typeof code === 'string' && Object.hasOwn(knownCodes, code) ? code : 'UNKNOWN';
  const text = typeof message === 'string' ? message.slice(0, maxTextLength) : '';
  return { code: known, message: text || knownCodes[known]?.[1] || 'unknown error' };
}

/** `manifest unknown: manifest unknown`: the code in words, then the message. */
function describe(diagnostic: RegistryDiagnostic): string {
  return `${diagnostic.code.toLowerCase().replaceAll('_', ' ')}: ${diagnostic.message}`;
}

/** The same failure in the words of `docker pull`. */
export function pullError(error: unknown, reference: Reference): unknown {
  if (!(error instanceof RegistryError) || error.diagnostics.length === 0) return error;
  const [first] = error.diagnostics;
  const wrap = (message: string) =>
    new RegistryError('not-found', message, {
      ...(error.status === undefined ? {} : { status: error.status }),
      diagnostics: error.diagnostics,
      cause: error,
    });
  switch (first?.code) {
    case 'DENIED':
      return wrap(
        `pull access denied for ${familiarName(reference)}, repository does not exist or may require 'docker login': ${describe(first)}`,
      );
    case 'MANIFEST_UNKNOWN':
      return wrap(`manifest for ${familiarString(reference)} not found: ${describe(first)}`);
    case 'NAME_UNKNOWN':
      return wrap(`repository ${familiarName(reference)} not found: ${describe(first)}`);
    default:
      return error;
  }
}
