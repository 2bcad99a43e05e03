const words = 'apikey|auth|credential|credentials|key|password|pword|passwd|secret|token';
const secret = new RegExp(`(?:_|^)(?:${words})(?:_|$)`, 'i');
const allowed = /(?:_|^)public(?:_|$)/i;

/** Whether a variable sounds like one that holds a secret: one of its words does, and none says that it is public. */
export function soundsSecret(name: string): boolean {
  return secret.test(name) && !allowed.test(name);
}
