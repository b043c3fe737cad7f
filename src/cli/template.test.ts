import assert from "node:assert/strict";
import { test } from "node:test";
import { CliError } from "./cli-error.ts";
import { parseTemplate } from "./template.ts";

const row = { id: "web", pid: 7, exit: null, list: [{ name: "a" }, { name: "b" }] };

test("a template: fields in any case, json, range, and the two escapes", () => {
  for (const [text, made] of [
    ["{{.ID}}\\t{{ .pid }}", "web\t7"],
    ["{{json .}}", JSON.stringify(row)],
    ["{{json .List}}{{.exit}}!", '[{"name":"a"},{"name":"b"}]!'],
    ["{{range .list}}<{{.Name}}>\\n{{end}}", "<a>\n<b>\n"],
    ["{{range .exit}}never{{end}}plain", "plain"],
  ] as const) {
    assert.equal(parseTemplate(text)(row), made, text);
  }
});

test("a template: what is not understood is named, before or when it is used", () => {
  for (const text of ["{{if .ID}}", "{{range .ID}}", "{{end}}", "{{.ID | upper}}", "{{}}", "{{json}}"]) {
    assert.throws(() => parseTemplate(text), CliError, text);
  }
  assert.throws(
    () => parseTemplate("{{.nothing}}")(row),
    /field \.nothing is not there: there are id, pid, exit, list/,
  );
});
