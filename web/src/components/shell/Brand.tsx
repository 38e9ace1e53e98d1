import { Link } from "../shared/Link";
import { Logo } from "../shared/Logo";

export function Brand() {
  return (
    <Link to={{ page: "chat", chatId: null }} className="brand">
      <Logo />
      <span>Rostra</span>
    </Link>
  );
}
