//! Programs that nobody here wrote and that are no commands, but libraries: driven as an embedder drives them, through
//! the crates `engine` and `host`.

use std::fs;
use std::path::Path;

use engine::wasmtime::component::{self, ComponentExportIndex, ResourceAny};
use engine::wasmtime::{self, Memory, Store, TypedFunc, WasmParams, WasmResults};
use engine::{CACHE_BYTES_MAX, CodeCache, Compiled, Engine, Profile, Program, Seal, Settings};
use host::grants::Dir;
use host::{Grants, Host, Stdio};
use tokio::runtime::Runtime;

use crate::child::{NATIVE, home, program, sampan, way};
use crate::programs::numbers;

/// A profile, and options under it.
type Way = (Profile, &'static [&'static str]);

fn ways() -> [Way; 2] {
    [Profile::Dense, Profile::Portable].map(|profile| (profile, way(&profile.to_string())))
}

/// An engine with `name` loaded, and a store whose host grants `dir` as `/`.
fn load(name: &str, (profile, options): Way, dir: Option<&Path>) -> (Program, Store<Host>, Grants) {
    let mut settings = Settings::new(profile);
    settings.tools = std::env::var_os("PATH").expect("a path");
    options.iter().for_each(|option| settings.set(option).expect("an option"));
    let engine = Engine::new(settings).expect("an engine");
    let seal = Seal::new(*b"the key of nobody but the tests.");
    let cache = CodeCache::open(home().join("libraries"), seal, CACHE_BYTES_MAX).expect("a cache");
    let bytes = fs::read(program(name)).expect("the program is read");
    let loaded = engine.load(&bytes, Some(&cache)).expect("the program is sound");
    let grant = |dir: &Path| Dir { host: dir.to_owned(), guest: "/".to_owned(), read_only: false };
    let grants = Grants { dirs: dir.map(grant).into_iter().collect(), ..Grants::default() };
    let limits = &engine.settings().limits;
    let host = Host::new(&[name.to_owned()], Stdio::Inherit, &grants, limits).expect("a host");
    let store = engine.store(host);
    (loaded, store, grants)
}

/// A module of C functions, which pass strings as pointers into its memory.
struct Library {
    runtime: Runtime,
    store: Store<Host>,
    instance: wasmtime::Instance,
    memory: Memory,
}

impl Library {
    fn new(name: &str, way: Way, dir: Option<&Path>) -> Self {
        let (program, mut store, grants) = load(name, way, dir);
        let Compiled::Module(module) = program.compiled() else { panic!("`{name}` is a module") };
        let linker = host::link::module(store.engine(), &program, module, &grants).expect("a linker");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let instance = runtime.block_on(linker.instantiate_async(&mut store, module)).expect("an instance");
        let memory = instance.get_memory(&mut store, "memory").expect("it exports its memory");
        Self { runtime, store, instance, memory }
    }

    fn call<P: WasmParams + Sync, R: WasmResults + Sync>(&mut self, name: &str, params: P) -> R {
        let function: TypedFunc<P, R> = self.instance.get_typed_func(&mut self.store, name).expect(name);
        self.runtime.block_on(function.call_async(&mut self.store, params)).expect(name)
    }

    /// The address of a copy of these bytes in the library's memory.
    fn put(&mut self, bytes: &[u8]) -> i32 {
        let address: i32 = self.call("malloc", i32::try_from(bytes.len()).expect("it is short"));
        self.memory.write(&mut self.store, address as usize, bytes).expect("it is in bounds");
        address
    }

    fn get(&mut self, address: i32, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        self.memory.read(&self.store, address as usize, &mut bytes).expect("it is in bounds");
        bytes
    }
}

#[test]
fn graphviz_lays_out_a_graph() {
    let dot = b"digraph { hull -> mast -> sail; hull -> rudder; helmsman -> rudder [label=steers] }\0";
    let drawn = ways().map(|way| {
        let mut graphviz = Library::new("graphviz.wasm", way, None);
        let [graph, format, engine] = [&dot[..], b"svg\0", b"dot\0"].map(|text| graphviz.put(text));
        let length = graphviz.put(&[0; 4]);
        let drawing: i32 = graphviz.call("graphviz_render", (graph, format, engine, length));
        assert_ne!(drawing, 0, "graphviz drew something");
        let length = graphviz.get(length, 4).try_into().map(u32::from_le_bytes).expect("four bytes");
        String::from_utf8(graphviz.get(drawing, length as usize)).expect("an SVG is text")
    });
    let [svg, portable] = &drawn;
    assert_eq!(svg, portable, "both profiles draw the same");
    assert!(svg.contains("<svg ") && svg.trim_end().ends_with("</svg>"), "{svg}");
    assert_eq!(svg.matches("class=\"node\"").count(), 5, "{svg}");
    assert_eq!(svg.matches("class=\"edge\"").count(), 4, "{svg}");
    for name in ["hull", "mast", "sail", "rudder", "helmsman", "steers"] {
        assert!(svg.contains(&format!(">{name}</text>")), "{name} in {svg}");
    }
    // A layout by ranks: what an arrow leaves stands above what it points at. SVG counts down from the top.
    let heights = ["hull", "mast", "sail"].map(|name| height(svg, name));
    assert!(heights.is_sorted() && heights[0] < heights[2], "{heights:?}");
}

/// The `y` of the text `name`.
fn height(svg: &str, name: &str) -> f64 {
    let line = svg.lines().find(|line| line.contains(&format!(">{name}</text>"))).expect(name);
    let y = line.split(" y=\"").nth(1).expect("it stands somewhere");
    y.split('"').next().expect("the value ends").parse().expect("it is a number")
}

#[test]
fn quickjs_computes() {
    // As native code it is compiled in parts.
    for way in ways().into_iter().chain([(Profile::Dense, NATIVE)]) {
        let dir = tempfile::tempdir().expect("a directory is made");
        fs::write(dir.path().join("main.js"), SCRIPT).expect("the script is written");
        let mut quickjs = Library::new("quickjs.wasm", way, Some(dir.path()));
        quickjs.call::<_, ()>("_initialize", ());
        let argv = ["qjs\0", "--std\0", "/main.js\0"].map(|text| quickjs.put(text.as_bytes()));
        let argv: Vec<u8> = argv.iter().flat_map(|address| address.to_le_bytes()).collect();
        let argv = quickjs.put(&argv);
        let failed: i32 = quickjs.call("qjs_init_argv", (3, argv));
        assert_eq!(failed, 0, "the script runs");
        let written = fs::read_to_string(dir.path().join("out.txt")).expect("the script wrote a file");
        assert_eq!(written, EXPECTED, "{way:?}");
    }
}

/// Big integers, closures, generators, regular expressions, dates and JSON.
const SCRIPT: &str = r#"
// Gibbons, "Unbounded spigot algorithms for the digits of pi", 2006.
function* pi() {
  let [q, r, t, k, n, l] = [1n, 0n, 1n, 1n, 3n, 3n];
  while (true) {
    if (4n * q + r - t < n * t) {
      yield n;
      [r, n] = [10n * (r - n * t), (10n * (3n * q + r)) / t - 10n * n];
      q *= 10n;
    } else {
      [r, n] = [(2n * q + r) * l, (q * (7n * k) + 2n + r * l) / (t * l)];
      [q, t, k, l] = [q * k, t * l, k + 1n, l + 2n];
    }
  }
}
const digits = pi(), first = Array.from({ length: 100 }, () => digits.next().value).join("");
const mersenne = (2n ** 521n - 1n).toString();
const text = "hull, mast; sail... rudder";
const out = std.open("/out.txt", "w");
out.puts([
  first,
  `${mersenne.length} ${mersenne.slice(0, 10)} ${mersenne.slice(-10)}`,
  text.replace(/(?<word>\w+)\W*/gu, (_, word) => word[0].toUpperCase() + word.slice(1)),
  JSON.stringify({ sorted: [10, 9, 1].sort((a, b) => a - b), date: new Date(0).toISOString(), nothing: undefined }),
  (0.1 + 0.2).toString(), Math.hypot(3, 4), parseInt("7f", 16), [..."héllo"].length,
].join("\n"));
out.close();
"#;

/// The digits of pi are those of OEIS A000796; 2^521 - 1 is the thirteenth Mersenne prime.
const EXPECTED: &str = r#"3141592653589793238462643383279502884197169399375105820974944592307816406286208998628034825342117067
157 6864797660 1115057151
HullMastSailRudder
{"sorted":[1,9,10],"date":"1970-01-01T00:00:00.000Z"}
0.30000000000000004
5
127
5"#;

/// A codec of numcodecs: a component whose one interface exports the resource `codec`.
struct Codec {
    runtime: Runtime,
    store: Store<Host>,
    instance: component::Instance,
    interface: ComponentExportIndex,
    codec: ResourceAny,
}

impl Codec {
    fn new(name: &str, way: Way, config: &str) -> Self {
        let (program, mut store, _) = load(name, way, None);
        let Compiled::Component(component) = program.compiled() else { panic!("`{name}` is a component") };
        let linker = host::link::component(store.engine(), &program, component).expect("a linker");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let instance = linker.instantiate_async(&mut store, component);
        let instance = runtime.block_on(instance).expect("an instance");
        let interface =
            instance.get_export_index(&mut store, None, "numcodecs:abc/codec@0.1.1").expect("a codec");
        let from_config = "[static]codec.from-config";
        let config = [component::Val::String(config.to_owned())];
        let made = call(&runtime, &mut store, &instance, &interface, from_config, &config);
        let Some(component::Val::Resource(codec)) = made else { panic!("{made:?}") };
        Self { runtime, store, instance, interface, codec }
    }

    /// `[method]codec.encode` or `decode`: an array of bytes in, another out.
    fn apply(&mut self, method: &str, bytes: &[u8]) -> Vec<u8> {
        use component::Val;
        let list = Val::List(bytes.iter().map(|byte| Val::U8(*byte)).collect());
        let data = Val::Variant("u8".to_owned(), Some(Box::new(list)));
        let shape = Val::List(vec![Val::U32(u32::try_from(bytes.len()).expect("it is short"))]);
        let array = Val::Record(vec![("data".to_owned(), data), ("shape".to_owned(), shape)]);
        let params = [Val::Resource(self.codec), array];
        let name = format!("[method]codec.{method}");
        let made = call(&self.runtime, &mut self.store, &self.instance, &self.interface, &name, &params);
        let Some(Val::Record(fields)) = made else { panic!("{made:?}") };
        let Some((_, Val::Variant(_, Some(list)))) = fields.into_iter().next() else { panic!("an array") };
        let Val::List(bytes) = *list else { panic!("a list") };
        let byte = |value| if let Val::U8(byte) = value { byte } else { panic!("bytes") };
        bytes.into_iter().map(byte).collect()
    }
}

/// Calls a function that returns a `result`, and returns what it holds.
fn call(
    runtime: &Runtime,
    store: &mut Store<Host>,
    instance: &component::Instance,
    interface: &ComponentExportIndex,
    name: &str,
    params: &[component::Val],
) -> Option<component::Val> {
    let index = instance.get_export_index(&mut *store, Some(interface), name).expect(name);
    let function = instance.get_func(&mut *store, index).expect(name);
    let mut results = [component::Val::Bool(false)];
    runtime.block_on(function.call_async(&mut *store, params, &mut results)).expect(name);
    match results {
        [component::Val::Result(Ok(value))] => value.map(|value| *value),
        results => panic!("`{name}` returned {results:?}"),
    }
}

/// Where a codec's own short header ends, and the standard's format begins.
fn find(packed: &[u8], beginning: &[u8]) -> usize {
    let header = packed.windows(beginning.len()).take(32).position(|bytes| bytes == beginning);
    header.unwrap_or_else(|| panic!("no {beginning:x?} at the beginning of {:x?}", &packed[..32]))
}

#[test]
fn zlib_compresses_what_another_zlib_unpacks() {
    let text = numbers(4_000).into_bytes();
    for way in ways() {
        let mut zlib = Codec::new("zlib.wasm", way, r#"{"level": 9}"#);
        let packed = zlib.apply("encode", &text);
        // Behind the codec's own header stands what RFC 1950 defines, at the best compression.
        let stream = &packed[find(&packed, &[0x78, 0xda])..];
        assert!(packed.len() < text.len() / 2, "{} of {} bytes", packed.len(), text.len());
        assert_eq!(zlib.apply("decode", &packed), text, "{way:?}");

        // CPython has a zlib of its own.
        let unpack = "import sys, zlib; sys.stdout.buffer.write(zlib.decompress(sys.stdin.buffer.read()))";
        let python = sampan(&["run"]).arg(program("python.wasm")).arg("-c").arg(unpack);
        assert_eq!(python.run_with(stream).stdout, text);
    }
}

#[test]
fn zstd_compresses_and_unpacks() {
    let text = numbers(4_000).into_bytes();
    for way in ways() {
        let mut zstd = Codec::new("zstd.wasm", way, r#"{"level": 19}"#);
        let packed = zstd.apply("encode", &text);
        // The magic number of RFC 8878.
        find(&packed, &0xfd2f_b528_u32.to_le_bytes());
        assert!(packed.len() < text.len() / 2, "{} of {} bytes", packed.len(), text.len());
        assert_eq!(zstd.apply("decode", &packed), text, "{way:?}");
    }
}
