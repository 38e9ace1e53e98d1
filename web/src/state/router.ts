/** The current route, kept equal to the address bar through the history API. */

import { parseRoute, type Route, routePath } from "./route";
import { createStore, type Store } from "./store";

export type Router = {
  route: Store<Route>;
  go: (route: Route) => void;
  /** Changes the address without a step to go back to. */
  replace: (route: Route) => void;
};

export function createRouter(): Router {
  const route = createStore<Route>(parseRoute(location.pathname));
  addEventListener("popstate", () => route.set(parseRoute(location.pathname)));
  return {
    route,
    go: (next) => {
      if (routePath(next) !== location.pathname) history.pushState(null, "", routePath(next));
      route.set(next);
    },
    replace: (next) => {
      history.replaceState(null, "", routePath(next));
      route.set(next);
    },
  };
}
