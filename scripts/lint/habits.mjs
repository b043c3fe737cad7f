// Rules on single files: each opens with a paragraph on its duty, tests do not sleep, and texts of the shim do not hold
// the phrases that daemons read as statements about the container's command.

import { isTest, pathOf, runsInShim } from "./place.mjs";

/** moor/opening-paragraph: a comment of at least a line stands before all code. Tests beside their file need none. */
export const openingParagraph = {
  create(context) {
    const path = pathOf(context);
    if (/^(src|packages)\//.test(path) && isTest(path)) return {};
    return {
      Program(node) {
        const text = context.sourceCode.text.replace(/^#!.*\n/, "");
        const comment = /^\s*(?:(?:\/\/.*\n)+|\/\*[^]*?\*\/)/.exec(text)?.[0] ?? "";
        if (comment.replace(/[/*\s]/g, "").length >= 30) return;
        context.report({ node, message: `${path} does not open with a paragraph on what it is for and promises` });
      },
    };
  },
};

/** Where waiting is built from time, once and for all. */
const waitingFiles = ["test/harness/until.ts"];

/** moor/no-sleep: a test waits for a condition, never for time to pass. */
export const noSleep = {
  create(context) {
    const path = pathOf(context);
    if (!isTest(path) || waitingFiles.includes(path)) return {};
    const message = `${path} sleeps (a test waits for a condition: until(...) of test/harness/until.ts)`;
    const sleeps = new Set();
    return {
      ImportDeclaration(node) {
        if (!/^(node:)?timers\/promises$/.test(node.source.value)) return;
        for (const specifier of node.specifiers) sleeps.add(specifier.local.name);
      },
      AwaitExpression({ argument }) {
        if (argument.type === "CallExpression" && sleeps.has(argument.callee.name) && !isZero(argument.arguments[0])) {
          context.report({ node: argument, message });
        }
      },
      NewExpression(node) {
        if (node.callee.name !== "Promise") return;
        const executor = node.arguments[0];
        if (executor?.type !== "ArrowFunctionExpression" && executor?.type !== "FunctionExpression") return;
        const resolve = executor.params[0]?.name;
        const body = executor.body.type === "BlockStatement" ? executor.body.body : [executor.body];
        for (const each of body) {
          const call = each.type === "ExpressionStatement" ? each.expression : each;
          if (call.type !== "CallExpression" || call.callee.name !== "setTimeout") continue;
          if (call.arguments[0]?.name === resolve && !isZero(call.arguments[1]))
            context.report({ node: call, message });
        }
      },
    };
  },
};

function isZero(node) {
  return node === undefined || (node.type === "Literal" && node.value === 0);
}

const readByDaemons =
  /not found|no such file or directory|no such container|container does not exist|permission denied|executable file not found/i;

/** Where the phrases are wanted: the runtime's own words are recognised here, and Kill of what is gone answers here. */
const phraseFiles = ["src/oci/runtime-error.ts", "src/shim/state-table.ts"];

/** moor/no-phrase-of-daemons: Docker makes exit codes 126 and 127, and NotFound, of these phrases in any error. */
export const noPhraseOfDaemons = {
  create(context) {
    const path = pathOf(context);
    if (!runsInShim(path) || phraseFiles.includes(path)) return {};
    const check = (node, text) => {
      const phrase = readByDaemons.exec(text)?.[0];
      if (phrase === undefined) return;
      context.report({
        node,
        message: `${path} says "${phrase}" (daemons draw conclusions from it: docs/protocol.md#errors)`,
      });
    };
    return {
      Literal: (node) => typeof node.value === "string" && check(node, node.value),
      TemplateElement: (node) => check(node, node.value.raw),
    };
  },
};
