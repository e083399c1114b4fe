/** Thrown by every wait and step once the operator has asked to go back; `state.interrupt` says where to. */
export class Interrupted extends Error {
  override readonly name = 'Interrupted';
}
