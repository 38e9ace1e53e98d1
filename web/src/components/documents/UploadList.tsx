import { useApp } from "../../state/context";
import { useStore } from "../../state/store";
import { UploadCard } from "./UploadCard";

export function UploadList({ collection }: { collection: string }) {
  const { store } = useApp().uploads;
  const uploads = useStore(store).filter((upload) => upload.collection === collection);
  if (uploads.length === 0) return null;
  return (
    <section className="uploads" aria-label="Uploads">
      {uploads.map((upload) => (
        <UploadCard key={upload.id} upload={upload} />
      ))}
    </section>
  );
}
