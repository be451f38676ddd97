/** Small drawings, each beside words or a label that says the same. */

const PATHS = {
  search: "M10.5 4a6.5 6.5 0 1 1 0 13 6.5 6.5 0 0 1 0-13zM15.5 15.5 20 20",
  picture: "M4 5h16v14H4zM4 16l5-5 4 4 3-3 4 4M15.5 9.5h.01",
  close: "M6 6l12 12M18 6 6 18",
  add: "M12 5v14M5 12h14",
  without: "M5 12h14",
  item: "M12 3.5l2.6 5.4 5.9.8-4.3 4.1 1 5.9-5.2-2.8-5.2 2.8 1-5.9L3.5 9.7l5.9-.8z",
  label: "M4 4h8l8 8-8 8-8-8zM8.5 8.5h.01",
  filter: "M4 6h16M7 12h10M10 18h4",
  region: "M5 8c2-4 12-5 14 0s-3 10-8 9-8-5-6-9z",
  download: "M12 4v11M7.5 11l4.5 4.5L16.5 11M5 20h14",
  settings: "M4 7h9M17 7h3M4 17h3M11 17h9M13 4.5v5M7 14.5v5",
  compare: "M4 5h7v14H4zM13 5h7v14h-7z",
  target: "M12 8a4 4 0 1 1 0 8 4 4 0 0 1 0-8zM12 3v3M12 18v3M3 12h3M18 12h3",
  link: "M10 14a4 4 0 0 0 6 0l3-3a4 4 0 0 0-6-6l-1 1M14 10a4 4 0 0 0-6 0l-3 3a4 4 0 0 0 6 6l1-1",
  turn: "M4 9h13l-4-4M20 15H7l4 4",
  words: "M5 6h14M12 6v13M9 19h6",
} as const;

export type IconName = keyof typeof PATHS;

export function Icon({ name }: { name: IconName }) {
  return (
    <svg class="icon" viewBox="0 0 24 24" aria-hidden="true">
      <path d={PATHS[name]} />
    </svg>
  );
}
