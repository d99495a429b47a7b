"""Programs in JavaScript that try to get out of their sandbox, or to take the machine down with them."""

from __future__ import annotations

from textwrap import dedent

from support.escapes import Escape


def _escape(name: str, ends: str, source: str) -> Escape:
    return Escape(name, dedent(source).strip(), ends)


DOORS = [
    _escape("require", "ReferenceError", "require('fs').readFileSync($.file, 'utf8')"),
    _escape("import", "ReferenceError|TypeError|SyntaxError|Error", "return (await import($.file)).default"),
    _escape("import a module", "ReferenceError|TypeError|SyntaxError|Error", "return await import('os')"),
    _escape("import by a declaration", "SyntaxError", "import * as std from 'std';\nstd.loadFile($.file)"),
    _escape("where a module is", "SyntaxError", "import.meta.url"),
    _escape("the process", "ReferenceError", "process.env"),
    _escape("modules of the engine's shell", "ReferenceError", "std.loadFile($.file) + os.readdir('/')"),
    _escape("functions of the engine's shell", "", "[typeof print, typeof read, typeof load, typeof loadScript, typeof scriptArgs]"),
    _escape("Deno", "ReferenceError", "Deno.readTextFileSync($.file)"),
    _escape("Bun", "ReferenceError", "Bun.file($.file).text()"),
    _escape("fetch", "ReferenceError", "fetch(`http://127.0.0.1:${$.tcp}`)"),
    _escape("XMLHttpRequest", "ReferenceError", "new XMLHttpRequest().open('GET', `http://127.0.0.1:${$.tcp}`)"),
    _escape("WebSocket", "ReferenceError", "new WebSocket(`ws://127.0.0.1:${$.tcp}`)"),
    _escape("a worker", "ReferenceError", "new Worker('x.js')"),
    _escape("a timer", "ReferenceError", "setTimeout(() => {}, 1e9)"),
    _escape("machine code", "ReferenceError", "WebAssembly.compile(new Uint8Array(8))"),
    _escape("the global object", "", "Object.getOwnPropertyNames(Function('return this')())"),
    _escape("the constructor's constructor", "ReferenceError", "({}).constructor.constructor('return process')().env"),
    _escape("the console's constructor", "ReferenceError", "console.log.constructor('return process')().env"),
    _escape("the input's constructor", "ReferenceError", "$.constructor.constructor('return require')()('fs')"),
    _escape("the module's constructor", "ReferenceError", "module.constructor.constructor('return process')()"),
    _escape("an async function's constructor", "ReferenceError", "return await (async () => {}).constructor('return process')()"),
    _escape("a generator's constructor", "ReferenceError", "[...(function* () {}).constructor('yield process')()]"),
    _escape("eval", "ReferenceError", "(0, eval)('process.env')"),
    _escape("code that an error runs", "", "Error.prepareStackTrace = (e, s) => s; const { stack } = new Error('x'); return String(stack)"),
    _escape("callers", "TypeError", "(function f() { return f.caller.arguments })()"),
    _escape("an exception of the host", "", "try { (function f() { f() })() } catch (e) { return Object.getOwnPropertyNames(e.constructor) }"),
    _escape("the prelude's secrets", "", "[typeof hidden, typeof lines, typeof state, typeof stringify]"),
    _escape("a symbol's host", "ReferenceError", "Symbol.constructor('return process')()"),
    _escape("a proxy of everything", "ReferenceError", "with (new Proxy({}, { has: () => false })) { process.exit(1) }"),
]  # fmt: skip

POLLUTION = [
    _escape("toJSON for all", "", "Object.prototype.toJSON = () => 'mine'; ({ a: 1 })"),
    _escape("another stringify", "", "JSON.stringify = () => '{\"output\": 1}'; ({ a: 1 })"),
    _escape("another parse", "", "JSON.parse = () => 1; ({ a: 1 })"),
    _escape("another push", "", "Array.prototype.push = () => { throw 1 }; console.log('x'); ({ a: [1] })"),
    _escape("another String", "", "globalThis.String = () => { throw 1 }; console.log({}, 1); return 1"),
    _escape("another then", "", "Promise.prototype.then = () => 1; Promise.resolve(5)"),
    _escape("a then for all", "", "Object.prototype.then = function (f) { f(7) }; return { a: 1 }"),
    _escape("another iterator", "Error", "Array.prototype[Symbol.iterator] = function* () { throw 1 }; console.log('x'); [...[1]]"),
    _escape("a setter at 0", "", "Object.defineProperty(Array.prototype, 0, { set() { throw 1 } }); try { console.log(1) } catch {} ; 2"),
    _escape("a frozen world", "", "Object.freeze(globalThis); Object.freeze(Object.prototype); 1"),
    _escape("no console", "", "globalThis.console = null; module = null; 1"),
    _escape("a result that looks", "", "Object.defineProperty(globalThis, 'result', { get() { return Object.keys(globalThis) } }); undefined"),
    _escape("a prototype in the answer", "", "JSON.parse('{\"__proto__\": {\"isAdmin\": true}, \"constructor\": {\"prototype\": 1}}')"),
    _escape("a prototype of the prototype", "TypeError", "Object.setPrototypeOf(Object.prototype, new Proxy({}, {}))"),
    _escape("another call", "", "Function.prototype.call = Function.prototype.apply = () => { throw 1 }; return 1"),
    _escape("another Promise", "", "globalThis.Promise = class { then() { throw 1 } }; return 1"),
]  # fmt: skip

ANSWERS = [
    _escape("a getter that does not end", "Timeout", "({ get a() { while (true); } })"),
    _escape("a getter that throws", "Error", "({ get a() { throw new Error('no') } })"),
    _escape("a toJSON that does not end", "Timeout", "({ toJSON() { for (;;); } })"),
    _escape("a toJSON of itself", "BadOutput|MemoryError|", "const a = { toJSON: () => ({ a }) }; a"),
    _escape("keys without end", "Timeout|RangeError|MemoryError", "new Proxy({}, { ownKeys() { for (;;); } })"),
    _escape("a revoked proxy", "TypeError", "const { proxy, revoke } = Proxy.revocable({}, {}); revoke(); return { proxy }"),
    _escape("a circle", "TypeError", "const a = {}; a.a = a; a"),
    _escape("a deep answer", "BadOutput", "let a = []; for (let i = 0; i < 1e5; i++) a = [a]; a"),
    _escape("a huge text", "OutputTooLarge", "'x'.repeat(1 << 20)"),
    _escape("a huge list", "OutputTooLarge", "Array.from({ length: 1e5 }, (_, i) => i)"),
    _escape("a list with holes", "Timeout|MemoryError", "const a = []; a.length = 4e9; a"),
    _escape("a BigInt", "TypeError", "1n << 100n"),
    _escape("a symbol", "", "Symbol('x')"),
    _escape("a function", "", "() => process"),
    _escape("halves of characters", "", "['\\ud800', '\\0', '\\udfff']"),
    _escape("a date that is none", "RangeError|", "({ a: new Date(NaN) })"),
    _escape("lines without end", "OutputTooLarge|Timeout|MemoryError", "for (;;) console.log('x'.repeat(1000))"),
    _escape("one endless line", "OutputTooLarge|MemoryError", "console.log('x'.repeat(1 << 20))"),
    _escape("a line that does not end", "Timeout", "console.log({ toJSON() { for (;;); } })"),
    _escape("an error that does not end", "Timeout|Error", "throw { toString() { for (;;); } }"),
    _escape("an error with a huge text", "Error|MemoryError", "throw new Error('x'.repeat(1 << 22))"),
    _escape("an error that lies", "Error", "class InternalError extends Error {}; throw new InternalError('interrupted')"),
]  # fmt: skip

RESOURCES = [
    _escape("loop", "Timeout", "while (true);"),
    _escape("loop despite catch", "Timeout", "for (;;) { try { for (;;); } catch {} }"),
    _escape("loop in finally", "Timeout", "try { for (;;); } finally { for (;;); }"),
    _escape("recursion", "RangeError", "(function f() { f() })()"),
    _escape("recursion of getters", "RangeError", "const a = { get a() { return this.a } }; a.a"),
    _escape("recursion of proxies", "RangeError", "const a = new Proxy({}, { get: (_, name, me) => me[name] }); a.x"),
    _escape("a long chain of proxies", "", "let a = {}; for (let i = 0; i < 1e4; i++) a = new Proxy(a, {}); try { a.x } catch (e) { String(e) } 1"),
    _escape("memory in crumbs", "MemoryError", "const a = []; for (;;) a.push({})"),
    _escape("memory by doubling", "RangeError|MemoryError|InternalError", "let a = 'x'; for (;;) a += a + Math.random()"),
    _escape("memory despite catch", "Timeout|MemoryError", "const a = []; for (;;) { try { for (;;) a.push([1, 2, 3]) } catch {} }"),
    _escape("a large buffer", "RangeError|MemoryError", "new ArrayBuffer(2 ** 31)"),
    _escape("a shared buffer", "RangeError|MemoryError|ReferenceError", "new SharedArrayBuffer(2 ** 31)"),
    _escape("wait for a neighbour", "TypeError|ReferenceError|Timeout", "Atomics.wait(new Int32Array(new SharedArrayBuffer(8)), 0, 0)"),
    _escape("a buffer that grows", "RangeError|MemoryError|TypeError|", "const a = new ArrayBuffer(8, { maxByteLength: 1 << 30 }); a.resize(1 << 30); 1"),
    _escape("a map", "MemoryError", "const a = new Map(); for (let i = 0; ; i++) a.set(i, i)"),
    _escape("a long text", "RangeError", "'a'.padEnd(2 ** 31)"),
    _escape("a regular expression", "Timeout", "/(a+)+$/.test('a'.repeat(50) + 'b')"),
    _escape("another regular expression", "Timeout", "/^(\\w+\\s?)*$/u.test('aaaa '.repeat(20) + '!')"),
    _escape("a regular expression that looks behind", "Timeout|", "/(?<=(a|aa)+)b$/.test('a'.repeat(60) + 'c')"),
    _escape("a regular expression that fills memory", "SyntaxError|MemoryError|Timeout|Error|", "new RegExp('(' .repeat(1e5) + ')'.repeat(1e5)).test('x')"),
    _escape("replace without end", "Timeout|MemoryError|RangeError|InternalError", "let a = 'x'; for (;;) a = a.replace(/x/g, 'xx')"),
    _escape("a comparison that lies", "", "Array.from({ length: 1000 }, Math.random).sort(() => Math.random() - 0.5).length"),
    _escape("a comparison without end", "Timeout", "[2, 1].sort(() => { for (;;); })"),
    _escape("a comparison that shrinks the list", "", "const a = Array.from({ length: 100 }, (_, i) => i); a.sort(() => (a.length = 0, 1)); a"),
    _escape("a generator without end", "MemoryError|Timeout", "[...(function* () { for (;;) yield {} })()]"),
    _escape("promises without end", "Timeout|NeverSettled|MemoryError", "const again = () => Promise.resolve().then(again); again(); new Promise(() => {})"),
    _escape("a loop that awaits", "Timeout", "while (true) await 1; return 1"),
    _escape("a promise that never settles", "NeverSettled", "new Promise(() => {})"),
    _escape("a loop of thens", "|TypeError", "const a = { then(f) { f(a) } }; return a"),
    _escape("a large number", "RangeError|Timeout|MemoryError", "2n ** (2n ** 30n)"),
    _escape("a nested text", "RangeError|SyntaxError|InternalError|Timeout", "JSON.parse('['.repeat(1e6))"),
    _escape("a nested source", "RangeError|SyntaxError|InternalError", "eval('('.repeat(1e6))"),
    _escape("a source with many names", "MemoryError|Timeout|SyntaxError|InternalError|", "eval('var ' + Array.from({ length: 1e5 }, (_, i) => 'a' + i).join())"),
    _escape("species", "Timeout|TypeError|RangeError|MemoryError|", "class A extends Array { static get [Symbol.species]() { return function () { for (;;); } } }; A.from([1]).map(x => x)"),
    _escape("copy within while it shrinks", "TypeError|RangeError|", "const b = new ArrayBuffer(64, { maxByteLength: 64 }); const a = new Uint8Array(b); a.copyWithin({ valueOf() { b.resize(1); return 0 } }, 1); a.length"),
    _escape("a list that is freed while it is walked", "", "const a = [{}, {}, {}]; for (const x of a) { a.length = 0; a.push(...[]) } a.length"),
    _escape("the end of an object's life", "", "new FinalizationRegistry(() => { for (;;); }).register({}, 1); 1"),
]  # fmt: skip

ESCAPES = [*DOORS, *POLLUTION, *ANSWERS, *RESOURCES]
