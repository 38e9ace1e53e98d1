import { Icon } from "../shared/Icon";

export function NotFoundNotice({ text }: { text: string }) {
  return (
    <div className="notice notice-none">
      <Icon name="none" />
      <div className="notice-body">
        <p className="notice-title">{text || "Not found in these documents."}</p>
        <p>
          No passage is close enough to answer this. Try the words the documents use, or add a
          document that covers it.
        </p>
      </div>
    </div>
  );
}
