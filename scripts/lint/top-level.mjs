// The rule moor/no-effect-at-import: the top level of a module of the shim holds declarations and constants, so that
// importing it does nothing, a module that is loaded late is no different from one that is loaded early, and a simulated
// kernel can run many shims in one process.

import { pathOf, runsInShim } from "./place.mjs";

const declarations = new Set([
  "ClassDeclaration",
  "ExportAllDeclaration",
  "FunctionDeclaration",
  "ImportDeclaration",
  "TSDeclareFunction",
  "TSEnumDeclaration",
  "TSInterfaceDeclaration",
  "TSModuleDeclaration",
  "TSTypeAliasDeclaration",
]);

/** Constructors and functions of the language that only make a value. */
const makers =
  /^(Array|BigInt|Map|Number|RegExp|Set|String|Symbol|TextDecoder|TextEncoder|Uint8Array|WeakMap|WeakSet)$/;
const makerObjects = /^(Array|BigInt|Math|Number|Object|String|Symbol|Uint8Array)$/;
/** Methods of strings and arrays that leave the receiver as it is. */
const pureMethods = /^(concat|entries|filter|flat|flatMap|join|keys|map|repeat|replace|slice|split|trim|values)$/;

export const noEffectAtImport = {
  create(context) {
    const path = pathOf(context);
    if (!runsInShim(path) || path === "src/shim/main.ts") return {};
    const where = "(the top level holds only declarations and constants: docs/architecture.md#layers)";

    return {
      Program(program) {
        const own = new Set(program.body.map(declaredFunction).filter((name) => name !== undefined));
        for (const statement of program.body) {
          const node = unwrapExport(statement);
          if (node === null || declarations.has(node.type)) {
            const state = node?.type === "ClassDeclaration" ? impureMember(node, own) : undefined;
            if (state !== undefined)
              context.report({ node: state, message: `${path} runs code in a class body ${where}` });
          } else if (node.type !== "VariableDeclaration") {
            context.report({ node, message: `${path} runs code when it is imported ${where}` });
          } else if (node.kind !== "const") {
            context.report({ node, message: `${path} keeps a variable at its top level ${where}` });
          } else {
            for (const { init } of node.declarations) {
              const impure = impurePart(init, own);
              if (impure !== undefined) {
                context.report({ node: impure, message: `${path} computes a constant with an effect ${where}` });
              }
            }
          }
        }
      },
    };
  },
};

function unwrapExport(statement) {
  if (statement.type === "ExportNamedDeclaration") return statement.declaration;
  return statement.type === "ExportDefaultDeclaration" ? statement.declaration : statement;
}

function declaredFunction(statement) {
  const node = unwrapExport(statement);
  return node?.type === "FunctionDeclaration" ? node.id?.name : undefined;
}

/** The first static block or static field with an effect. */
function impureMember(node, own) {
  for (const member of node.body.body) {
    if (member.type === "StaticBlock") return member;
    if (member.type === "PropertyDefinition" && member.static && member.value) {
      const impure = impurePart(member.value, own);
      if (impure !== undefined) return impure;
    }
  }
  return undefined;
}

/**
 * The first part of an expression that may have an effect. Calls of the module's own functions are let through: what they
 * could reach is a Sys they are given (and there is none here) or what other rules ban.
 */
function impurePart(node, own) {
  if (node === null || node === undefined) return undefined;
  const first = (...nodes) => {
    for (const each of nodes) {
      const impure = impurePart(each, own);
      if (impure !== undefined) return impure;
    }
    return undefined;
  };
  switch (node.type) {
    case "Literal":
    case "Identifier":
    case "ArrowFunctionExpression":
    case "FunctionExpression":
    case "MetaProperty":
      return undefined;
    case "ClassExpression":
      return impureMember(node, own);
    case "TemplateLiteral":
      return first(...node.expressions);
    case "TaggedTemplateExpression":
      return isPureCall(node.tag, own) ? first(...node.quasi.expressions) : node;
    case "ArrayExpression":
      return first(...node.elements);
    case "ObjectExpression":
      return first(...node.properties);
    case "Property":
      return first(node.computed ? node.key : null, node.value);
    case "SpreadElement":
    case "UnaryExpression":
      return node.operator === "delete" ? node : first(node.argument);
    case "BinaryExpression":
    case "LogicalExpression":
      return first(node.left, node.right);
    case "ConditionalExpression":
      return first(node.test, node.consequent, node.alternate);
    case "MemberExpression":
      return first(node.object, node.computed ? node.property : null);
    case "ChainExpression":
    case "ParenthesizedExpression":
    case "TSAsExpression":
    case "TSNonNullExpression":
    case "TSSatisfiesExpression":
    case "TSTypeAssertion":
      return first(node.expression);
    case "NewExpression":
      return node.callee.type === "Identifier" && makers.test(node.callee.name) ? first(...node.arguments) : node;
    case "CallExpression":
      return isPureCall(node.callee, own) ? first(node.callee.object, ...node.arguments) : node;
    default:
      return node;
  }
}

function isPureCall(callee, own) {
  if (callee.type === "Identifier") return makers.test(callee.name) || own.has(callee.name);
  if (callee.type !== "MemberExpression" || callee.computed) return false;
  if (callee.object.type === "Identifier" && makerObjects.test(callee.object.name)) return true;
  return pureMethods.test(callee.property.name);
}
