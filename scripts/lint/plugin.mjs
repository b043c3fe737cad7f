// Moor's own lint rules, as a plugin of oxlint: what no ready rule can say about this repository.

import { noPhraseOfDaemons, noSleep, openingParagraph } from "./habits.mjs";
import { imports } from "./imports.mjs";
import { noEffectAtImport } from "./top-level.mjs";

export default {
  meta: { name: "moor" },
  rules: {
    imports,
    "no-effect-at-import": noEffectAtImport,
    "no-phrase-of-daemons": noPhraseOfDaemons,
    "no-sleep": noSleep,
    "opening-paragraph": openingParagraph,
  },
};
