/** Puts the page together: a search on one side, the map on the other. */

import { render } from "preact";
import { Server } from "./data/server";
import { Shared } from "./data/shared";
import { Details } from "./panel/Details";
import { DropVeil } from "./panel/DropVeil";
import { Panel } from "./panel/Panel";
import { Sky } from "./sky/Sky";
import { startFiles } from "./state/files";
import { startHistory } from "./state/history";
import { startKeyboard } from "./state/keyboard";
import { startPreferences } from "./state/preferences";
import { startSearching } from "./state/search";
import { open } from "./state/universe";

function App() {
  return (
    <>
      <Panel />
      <Sky />
      <Details />
      <DropVeil />
    </>
  );
}

startPreferences();
render(<App />, document.getElementById("page")!);
startHistory();
startSearching();
startKeyboard();
startFiles();
void open(window.SHARED_UNIVERSE ? new Shared(window.SHARED_UNIVERSE) : new Server());
