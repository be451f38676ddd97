import { defineConfig, type Plugin } from "vite";

/** One plain script and plain links: the same page opens from a server and, shared, from a folder without one. */
const plainTags: Plugin = {
  name: "plain-tags",
  transformIndexHtml: {
    order: "post",
    handler: (html) => html.replaceAll(" crossorigin", "").replace('<script type="module"', "<script defer"),
  },
};

export default defineConfig({
  plugins: [plainTags],
  // Relative addresses let the page live under any prefix of a reverse proxy.
  base: "./",
  build: {
    outDir: "../src/vector_universe/serve/static",
    emptyOutDir: true,
    target: "es2022",
    // A data: script or style would need a wider content security policy.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    // Else a plain script would carry the styles within itself, which the policy forbids.
    cssCodeSplit: false,
    rollupOptions: { output: { format: "iife" } },
  },
  server: { proxy: { "/api": "http://127.0.0.1:8765" } },
});
