// Makes a component out of a program: node componentize.mjs PROGRAM.js OUT.wasm
//
// Its world is `program` of the PROGRAM.wit beside it, else a command of WASI 0.2. Only a world that speaks of
// `wasi:http` gets `fetch`, for each feature of the engine adds to what the component imports.
import { componentize } from "@bytecodealliance/componentize-js";
import { cp, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

const COMMAND = "package sampan:guest; world program { include wasi:cli/command@0.2.12; }";
const WASI = new URL("node_modules/@bytecodealliance/jco/lib/wit/builtin/0.2.12", import.meta.url);

const [sourcePath, out] = process.argv.slice(2);
const world = await readFile(sourcePath.replace(/\.js$/, ".wit"), "utf8").catch(() => COMMAND);
const witPath = await mkdtemp(join(tmpdir(), "componentize-"));
try {
  await cp(WASI, join(witPath, "deps"), { recursive: true });
  await writeFile(join(witPath, "program.wit"), world);
  const disableFeatures = world.includes("wasi:http") ? [] : ["http", "fetch-event"];
  const { component } = await componentize({ sourcePath, witPath, worldName: "program", disableFeatures });
  await writeFile(out, component);
} finally {
  await rm(witPath, { recursive: true });
}
