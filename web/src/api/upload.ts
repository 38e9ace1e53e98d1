/** Sending files. XMLHttpRequest, because fetch does not report how much has been sent. */

import { address } from "./http";
import { problemFromText, unreachable } from "./problem";
import type { Job } from "./types";

/** A file and the name it is stored under (a path for files out of a dropped folder). */
export type NamedFile = { name: string; file: File };

/**
 * Sends files into a collection and returns the job that reads them.
 *
 * @param onSent called with the sent share of the body, 0 to 1
 */
export function uploadFiles(
  collection: string,
  files: NamedFile[],
  onSent: (share: number) => void,
): Promise<Job> {
  const form = new FormData();
  for (const { name, file } of files) form.append("files", file, name);
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", address(["api", "collections", collection, "documents"]));
    request.setRequestHeader("Accept", "application/json");
    request.upload.onprogress = (event) => {
      if (event.lengthComputable) onSent(event.loaded / event.total);
    };
    request.onerror = () => reject(unreachable());
    request.onload = () => {
      if (request.status >= 200 && request.status < 300) resolve(JSON.parse(request.responseText));
      else reject(problemFromText(request.responseText, request.status));
    };
    request.send(form);
  });
}
