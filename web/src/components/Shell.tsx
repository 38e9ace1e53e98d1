import { SIDEBAR_FITS, useMediaQuery } from "../hooks/useMediaQuery";
import { useApp } from "../state/context";
import { useStore } from "../state/store";
import { ConversationPage } from "./conversation/ConversationPage";
import { DocumentsPage } from "./documents/DocumentsPage";
import { DropTarget } from "./documents/DropTarget";
import { ProblemNotice } from "./shared/ProblemNotice";
import { Brand } from "./shell/Brand";
import { SidebarContent } from "./shell/SidebarContent";
import { TopBar } from "./shell/TopBar";
import { SourcePanel } from "./source/SourcePanel";

/** The frame: sidebar or top bar, the page of the route, and the source beside it. */
export function Shell() {
  const app = useApp();
  const route = useStore(app.router.route);
  const { problem } = useStore(app.server);
  const wide = useMediaQuery(SIDEBAR_FITS);
  return (
    <div className="shell">
      {wide ? (
        <div className="sidebar">
          <Brand />
          <SidebarContent />
        </div>
      ) : (
        <TopBar />
      )}
      <main className="main" id="main">
        {problem && (
          <div className="main-problem">
            <ProblemNotice problem={problem} onRetry={() => void app.start()} />
          </div>
        )}
        {route.page === "documents" ? <DocumentsPage /> : <ConversationPage />}
      </main>
      <SourcePanel />
      <DropTarget />
    </div>
  );
}
