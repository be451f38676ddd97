/** A share of 1 as a bar; the number beside it says the same. */

export function Bar({ share }: { share: number }) {
  const width = `${Math.round(Math.min(1, Math.max(0, share)) * 1000) / 10}%`;
  return <span class="bar" aria-hidden="true"><span class="bar-full" style={{ width }} /></span>;
}
