import { defineConfig } from "vite";

export default defineConfig({
  base: "./",
  define: { "process.env": "{}", global: "globalThis" },
  esbuild: { jsx: "transform" },
  build: { chunkSizeWarningLimit: 20000, sourcemap: false, reportCompressedSize: false },
});
