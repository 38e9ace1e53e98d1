/** The last used collection, kept in this browser. A browser that refuses storage forgets it. */

const KEY = "rostra.collection";

export const collectionMemory = {
  read: (): string | null => {
    try {
      return localStorage.getItem(KEY);
    } catch {
      return null;
    }
  },
  write: (name: string): void => {
    try {
      localStorage.setItem(KEY, name);
    } catch {
      // Private windows may refuse; the choice then lasts as long as the page.
    }
  },
};
