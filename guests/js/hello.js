// Prints `hello`, and its arguments if there are any.
import { getArguments } from "wasi:cli/environment@0.2.12";

export const run = {
  run() {
    console.log(["hello", ...getArguments().slice(1)].join(" "));
  },
};
