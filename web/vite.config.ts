import react from "@vitejs/plugin-react";
import { loadEnv } from "vite";
import { defineConfig } from "vitest/config";

export default defineConfig(({ mode }) => {
  // Where `npm run dev` finds the server; start it with `rostra serve`.
  const server = loadEnv(mode, ".", "ROSTRA_").ROSTRA_URL ?? "http://127.0.0.1:8321";
  return {
    plugins: [react()],
    build: {
      outDir: "../platform/api/static",
      emptyOutDir: true,
      // No data: addresses, so that the server may send `default-src 'self'`.
      assetsInlineLimit: 0,
      target: "es2023",
    },
    server: { proxy: { "/api": server, "/health": server } },
    test: { include: ["tests/**/*.test.ts"], environment: "node" },
  };
});
