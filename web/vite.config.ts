import { defineConfig } from "vite";

export default defineConfig({
  // Relative addresses let the page live under any prefix of a reverse proxy.
  base: "./",
  build: {
    outDir: "../src/vector_universe/serve/static",
    emptyOutDir: true,
    target: "es2022",
    // A data: script or style would need a wider content security policy.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
  },
  server: {
    proxy: {
      "/api": "http://127.0.0.1:8000",
      "/thumbnails": "http://127.0.0.1:8000",
    },
  },
});
