import type { ReactElement } from "react";
import type { IconName, Look } from "../model/looks";

const DOTTED = <circle cx="7" cy="7" r="5" strokeDasharray="1.6 1.9" />;
const RING = <circle cx="7" cy="7" r="5" />;

const ICONS: Readonly<Record<IconName, ReactElement>> = {
  dotted: DOTTED,
  filling: (
    <>
      {DOTTED}
      <path d="M7 7V3A4 4 0 0 1 10.5 9Z" data-fb-solid="" />
    </>
  ),
  arc: <path d="M12 7A5 5 0 1 1 7 2" />,
  check: <path d="M2.5 7.5L5.5 10.5L11.5 3.5" />,
  cross: <path d="M3 3L11 11M11 3L3 11" />,
  slash: (
    <>
      {RING}
      <path d="M3.5 10.5L10.5 3.5" />
    </>
  ),
  bar: (
    <>
      {RING}
      <path d="M4.5 7H9.5" />
    </>
  ),
  hourglass: <path d="M3.5 2H10.5M3.5 12H10.5M4.5 2V4L9.5 10V12M9.5 2V4L4.5 10V12" />,
  lines: <path d="M2 4H12M2 7.2H12M2 10.4H9" />,
  clock: (
    <>
      {RING}
      <path d="M7 4V7.2L9.2 8.4" />
    </>
  ),
  paper: <path d="M3.5 2H8.5L11 4.5V12H3.5ZM8.5 2V4.5H11" />,
  arrow: <path d="M11.5 7A4.5 4.5 0 1 1 9.8 3.5M10 1.2V3.8H7.4" />,
};

/** A state's icon; the word beside it, or the card's label, says the same. */
export function StateIcon({ look }: { readonly look: Look }): ReactElement {
  return (
    <svg className="fb-icon" data-fb-icon={look.icon} data-fb-ink={look.ink} viewBox="0 0 14 14" aria-hidden="true">
      {ICONS[look.icon]}
    </svg>
  );
}
