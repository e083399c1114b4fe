/** The key that every object of one database of one migration carries in its name. Pure JavaScript, since workflows run it. */
import { sha256 } from '@noble/hashes/sha2.js';
import { bytesToHex, utf8ToBytes } from '@noble/hashes/utils.js';

/** 12 hex digits. Stable over retries, resets and a migration brought back. `migration` is a workflow id. */
export function scopeKey(migration: string, database: string): string {
  return bytesToHex(sha256(utf8ToBytes(`${migration}/${database}`))).slice(0, 12);
}
