import * as Dialog from "@radix-ui/react-dialog";
import type { ReactNode } from "react";

type Props = {
  title: string;
  description?: ReactNode;
  onClose: () => void;
  className?: string;
  role?: "dialog" | "alertdialog";
  /** Left out of sight where the content shows its own heading. */
  hideTitle?: boolean;
  children: ReactNode;
};

/**
 * A modal dialog: focus stays inside, Escape closes, focus returns to where it was.
 *
 * The scrim is our own element: Radix's overlay writes a style element into the page, which a strict
 * content security policy refuses.
 */
export function Modal(props: Props) {
  const { title, description, onClose, className, role = "dialog", hideTitle, children } = props;
  return (
    <Dialog.Root open onOpenChange={(open) => !open && onClose()}>
      <Dialog.Portal>
        <div className="scrim" />
        <Dialog.Content
          className={className ?? "modal"}
          role={role}
          {...(description ? {} : { "aria-describedby": undefined })}
        >
          <Dialog.Title className={hideTitle ? "visually-hidden" : "modal-title"}>
            {title}
          </Dialog.Title>
          {description && (
            <Dialog.Description className="modal-description">{description}</Dialog.Description>
          )}
          {children}
        </Dialog.Content>
      </Dialog.Portal>
    </Dialog.Root>
  );
}
