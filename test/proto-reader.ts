// A small reader of .proto files for proto.test.ts: which fields, enum values and methods they declare, as one line a
// fact ("1 id string"), under the full name of their message, enum or service. Options, comments and imports do not
// matter to the wire and are passed over.

/** Full name -> facts, each under its key (field number, enum number, method name). */
export type Declarations = Map<string, Map<string, string>>;

/** The declarations of all these texts together; names of types are resolved among them. */
export function readProto(texts: readonly string[]): Declarations {
  const found: Declarations = new Map();
  const files = texts.map((text) => new Reader(tokens(text), found));
  for (const file of files) file.file();
  // Types are resolved once all names are known.
  for (const [name, facts] of found) {
    for (const [key, fact] of facts)
      facts.set(
        key,
        fact.replace(/\{([\w.]+)\}/g, (_, type) => resolve(type, name, found)),
      );
  }
  return found;
}

function tokens(text: string): string[] {
  const plain = text.replace(/\/\*[\s\S]*?\*\/|\/\/[^\n]*/g, " ");
  return plain.match(/"(?:[^"\\]|\\.)*"|[\w.]+|-?\d+|[^\s\w]/g) ?? [];
}

function resolve(type: string, scope: string, known: Declarations): string {
  if (type.startsWith(".")) return type.slice(1);
  const parts = scope.split(".");
  for (; parts.length > 0; parts.pop()) {
    const name = `${parts.join(".")}.${type}`;
    if (known.has(name)) return name;
  }
  return type;
}

class Reader {
  readonly #tokens: readonly string[];
  readonly #found: Declarations;
  #at = 0;
  #package = "";

  constructor(tokens: readonly string[], found: Declarations) {
    this.#tokens = tokens;
    this.#found = found;
  }

  file(): void {
    while (this.#at < this.#tokens.length) {
      const word = this.#next();
      if (word === "package") this.#package = this.#next();
      else if (word === "message") this.#message(this.#package);
      else if (word === "enum") this.#enum(this.#package);
      else if (word === "service") this.#service();
      else if (word === "extend") this.#skipBlock();
      else if (word !== ";") this.#skipStatement();
    }
  }

  #message(scope: string): void {
    const { name, facts } = this.#declare(scope);
    this.#fields(name, facts);
  }

  #fields(name: string, facts: Map<string, string>): void {
    for (let word = this.#next(); word !== "}"; word = this.#next()) {
      if (word === "message") this.#message(name);
      else if (word === "enum") this.#enum(name);
      else if (word === "oneof") {
        this.#next();
        this.#expect("{");
        this.#fields(name, facts);
      } else if (word === "option" || word === "reserved" || word === "extensions") this.#skipStatement();
      else if (word !== ";") this.#field(word, facts);
    }
  }

  #field(first: string, facts: Map<string, string>): void {
    let label = "";
    let type = first;
    if (first === "repeated" || first === "optional") {
      label = `${first} `;
      type = this.#next();
    }
    if (type === "map") {
      this.#expect("<");
      const key = this.#next();
      this.#expect(",");
      type = `map<${key},{${this.#next()}}>`;
      this.#expect(">");
    } else {
      type = `{${type}}`;
    }
    const name = this.#next();
    this.#expect("=");
    const number = this.#next();
    this.#skipStatement();
    facts.set(number, `${number} ${name} ${label}${type}`);
  }

  #enum(scope: string): void {
    const { facts } = this.#declare(scope);
    for (let word = this.#next(); word !== "}"; word = this.#next()) {
      if (word === ";") continue;
      if (word === "option" || word === "reserved") {
        this.#skipStatement();
        continue;
      }
      this.#expect("=");
      let number = this.#next();
      if (number === "-") number += this.#next();
      this.#skipStatement();
      facts.set(number, `${number} ${word}`);
    }
  }

  #service(): void {
    const { facts } = this.#declare(this.#package);
    for (let word = this.#next(); word !== "}"; word = this.#next()) {
      if (word === "option") this.#skipStatement();
      if (word !== "rpc") continue;
      const name = this.#next();
      const request = this.#methodType();
      this.#expect("returns");
      facts.set(name, `${name} ${request} ${this.#methodType()}`);
      if (this.#tokens[this.#at] === "{") this.#skipBlock();
    }
  }

  #methodType(): string {
    this.#expect("(");
    const word = this.#next();
    const type = word === "stream" ? `{${this.#next()}} stream` : `{${word}}`;
    this.#expect(")");
    return type;
  }

  #declare(scope: string): { name: string; facts: Map<string, string> } {
    const name = `${scope}.${this.#next()}`;
    this.#expect("{");
    const facts = new Map<string, string>();
    this.#found.set(name, facts);
    return { name, facts };
  }

  #skipStatement(): void {
    for (let depth = 0, word = this.#next(); depth > 0 || word !== ";"; word = this.#next()) {
      if (word === "{") depth++;
      if (word === "}") depth--;
    }
  }

  #skipBlock(): void {
    while (this.#next() !== "{");
    for (let depth = 1; depth > 0; ) {
      const word = this.#next();
      if (word === "{") depth++;
      if (word === "}") depth--;
    }
  }

  #next(): string {
    const token = this.#tokens[this.#at++];
    if (token === undefined) throw new Error("the .proto file ends too early");
    return token;
  }

  #expect(token: string): void {
    const next = this.#next();
    if (next !== token) throw new Error(`expected ${token}, met ${next} before ${this.#tokens[this.#at]}`);
  }
}
