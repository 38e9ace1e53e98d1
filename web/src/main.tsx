import { createRoot } from "react-dom/client";
import { Shell } from "./components/Shell";
import { createApp } from "./state/app";
import { AppContext } from "./state/context";
import "./styles/tokens.css";
import "./styles/base.css";
import "./styles/shell.css";
import "./styles/overlays.css";
import "./styles/conversation.css";
import "./styles/documents.css";
import "./styles/source.css";

const root = document.getElementById("root");
if (!root) throw new Error("index.html has no #root");

const app = createApp();
createRoot(root).render(
  <AppContext value={app}>
    <Shell />
  </AppContext>,
);
void app.start();
