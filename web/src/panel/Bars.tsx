/** How probable each label is for the picture, likeliest first. */

import type { Classified } from "../data/types";
import { percent, words } from "../words/words";
import { Bar } from "./Bar";

export function Bars({ found }: { found: Classified }) {
  const calibrated = found.labels.some((label) => label.match !== null);
  return (
    <>
      {found.doubt && <p class="doubt" data-testid="doubt">{found.doubt}</p>}
      <table class="bars" data-testid="bars">
        <caption class="sr-only">{words("playground.bars")}</caption>
        <thead>
          <tr>
            <th scope="col"><span class="sr-only">{words("playground.label")}</span></th>
            <th scope="col" title={words("playground.one_of_note")}>{words("playground.one_of")}</th>
            {calibrated && <th scope="col" title={words("playground.fits_note")}>{words("playground.fits")}</th>}
          </tr>
        </thead>
        <tbody>
          {found.labels.map(({ name, probability, match }) => (
            <tr key={name}>
              <th scope="row"><span class="bars-name" dir="auto">{name}</span><Bar share={probability} /></th>
              <td>{percent(probability)}</td>
              {calibrated && <td>{match === null ? "" : percent(match)}</td>}
            </tr>
          ))}
        </tbody>
      </table>
    </>
  );
}
