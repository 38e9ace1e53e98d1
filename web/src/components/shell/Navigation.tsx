import { useApp } from "../../state/context";
import { useStore } from "../../state/store";
import { Icon } from "../shared/Icon";
import { Link } from "../shared/Link";

export function Navigation() {
  const app = useApp();
  const route = useStore(app.router.route);
  const { current } = useStore(app.collections.store);
  return (
    <nav className="navigation" aria-label="Main">
      <button type="button" className="nav-link nav-new" onClick={app.newChat}>
        <Icon name="chat" />
        New chat
      </button>
      <Link
        to={{ page: "documents", collection: current }}
        current={route.page === "documents"}
        className="nav-link"
      >
        <Icon name="document" />
        Documents
      </Link>
    </nav>
  );
}
