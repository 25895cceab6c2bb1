//! A module as a library for C: what of it C can reach, a header that says so, and the code between C and slots.
//!
//! The object of a library has the module's code, that code, and the runtime `hosts/c`. Nothing in it is parsed, searched or
//! allocated by name at run time: an export is a number.

mod glue;
mod header;
mod names;

use std::hash::{DefaultHasher, Hash, Hasher};

use crate::assembly::{Assembly, Precision};
use crate::limits::LIBRARY_ITEMS_MAX;
use crate::module::{Module, Signature, Type};
use crate::{Error, Target};
use names::{Names, shown};
use rt::Policy;
use rt::abi::Kind;

/// What `hosts/c` has in place of what makes the names of a library its own.
const RUNTIME_UNIQUE: &str = "0000000000000000";
/// What all other names of a Rust object begin with that its linker sees.
const RUNTIME_OTHERS: &str = "_ZN2rt4arch";

/// A module as a library for C.
#[derive(Debug)]
pub struct Library {
    header: String,
    glue: String,
    ir: String,
    prefix: String,
    unique: u64,
}

/// What of a module C can reach.
struct Interface<'a> {
    /// What all identifiers of the library begin with.
    prefix: String,
    /// Makes the names that a linker sees the library's own.
    unique: u64,
    /// Whether memory comes from the product: there are no pages.
    needs_room: bool,
    imports: Vec<Import<'a>>,
    functions: Vec<Function<'a>>,
    memories: Vec<Memory>,
    globals: Vec<Global>,
    /// What cannot be had, and why, as comments.
    left_out: Vec<String>,
    /// The export to be called before all others.
    initialize: Option<usize>,
    /// The memory that WASI's functions write to.
    memory: Option<usize>,
}

struct Import<'a> {
    field: String,
    /// As the program has it, in a form that can stand in a comment or string.
    shown: String,
    signature: &'a Signature,
    /// What is done when the product gives nothing.
    denial: Option<Denial>,
}

/// What a function of WASI 0.1 does that is not there.
#[derive(Clone, Copy, PartialEq)]
enum Denial {
    /// There are none: two zeros are written.
    None,
    /// It returns this number of an error.
    Error(u32),
    /// The program ends.
    Trap,
}

struct Function<'a> {
    name: String,
    shown: String,
    /// Which export.
    number: usize,
    signature: &'a Signature,
}

struct Memory {
    name: [String; 4],
    shown: String,
    number: usize,
    index: Type,
}

struct Global {
    get: String,
    set: Option<String>,
    shown: String,
    number: usize,
    content: Type,
}

impl Library {
    /// Reads a module, and makes the text of all that is to be compiled. The identifiers begin with `name`, as far as C
    /// allows it.
    pub fn new(
        name: &str,
        wasm: &[u8],
        target: Target,
        policy: Policy,
        precision: Precision,
    ) -> Result<Self, Error> {
        let module = Assembly::read(wasm, &target)?;
        let mut hasher = DefaultHasher::new();
        (name, wasm, target.triple, policy as usize).hash(&mut hasher);
        let unique = hasher.finish().max(1);
        let interface = Interface::new(name, &module, &target, unique)?;
        let header = header::header(&interface);
        let glue = glue::glue(&interface, &header);
        let mut assembly = Assembly::unique(target, unique);
        assembly.write(&format!("of_{unique:016x}"), &module, policy, precision)?;
        Ok(Self { header, glue, ir: assembly.finish(), prefix: interface.prefix, unique })
    }

    /// What a C or C++ program includes.
    pub fn header(&self) -> &str {
        &self.header
    }

    /// What all identifiers of the library begin with.
    pub(crate) fn prefix(&self) -> &str {
        &self.prefix
    }

    /// The module as LLVM's text.
    pub(crate) fn ir(&self) -> &str {
        &self.ir
    }

    /// The code between C and the module, as C.
    pub(crate) fn glue(&self) -> &str {
        &self.glue
    }

    /// The runtime as this library's own: two libraries in one program have one each.
    pub(crate) fn own_runtime(&self, runtime: &[u8]) -> Vec<u8> {
        let unique = format!("{:016x}", self.unique);
        let others = format!("_Z{}", &unique[..RUNTIME_OTHERS.len() - 2]);
        let mut own = runtime.to_vec();
        let named = format!("sampan_{RUNTIME_UNIQUE}_");
        replace(&mut own, named.as_bytes(), format!("sampan_{unique}_").as_bytes());
        replace(&mut own, RUNTIME_OTHERS.as_bytes(), others.as_bytes());
        own
    }
}

/// Replaces all of some bytes by as many others.
fn replace(bytes: &mut [u8], what: &[u8], by: &[u8]) {
    assert_eq!(what.len(), by.len(), "nothing moves");
    let mut at = 0;
    while at + what.len() <= bytes.len() {
        if bytes[at..].starts_with(what) {
            bytes[at..at + by.len()].copy_from_slice(by);
            at += by.len();
        } else {
            at += 1;
        }
    }
}

impl<'a> Interface<'a> {
    fn new(name: &str, module: &'a Module<'a>, target: &Target, unique: u64) -> Result<Self, Error> {
        if items(module) > LIBRARY_ITEMS_MAX {
            return Err(Error::TooLarge);
        }
        let prefix = names::prefix("lib", name);
        let mut names = Names::default();
        // What C libraries like to export, such as `free`, is not among them.
        names.take(&prefix, "instance", &["", "_new", "_free", "_interrupt", "_resume"]);
        names.take(&prefix, "imports", &[""]);
        names.take(&prefix, "missing_import", &[""]);
        let mut interface = Self {
            prefix,
            unique,
            needs_room: !target.has_pages,
            imports: imports(module)?,
            functions: Vec::new(),
            memories: Vec::new(),
            globals: Vec::new(),
            left_out: Vec::new(),
            initialize: None,
            memory: None,
        };
        for number in 0..module.exports.len() {
            interface.export(module, &mut names, number);
        }
        Ok(interface)
    }

    fn export(&mut self, module: &'a Module<'a>, names: &mut Names, number: usize) {
        let export = &module.exports[number];
        let shown = shown(export.name);
        match export.kind {
            Kind::Function => {
                let signature = module.signature(export.index);
                if export.name == "_initialize" && signature.params.is_empty() && signature.results.is_empty()
                {
                    self.initialize = Some(number);
                } else if is_of_c(signature) {
                    let name = names.take(&self.prefix, export.name, &[""]).remove(0);
                    self.functions.push(Function { name, shown, number, signature });
                } else {
                    self.left_out.push(format!("the function \"{shown}\" has a vector or a reference"));
                }
            }
            Kind::Memory => {
                if export.name == "memory" {
                    self.memory = Some(number);
                }
                let name = names.take(&self.prefix, export.name, &["", "_size", "_read", "_write"]);
                let name = name.try_into().expect("as many as the ends");
                let index = module.memories[export.index as usize].index;
                self.memories.push(Memory { name, shown, number, index });
            }
            Kind::Global => {
                let global = &module.globals[export.index as usize];
                if c_type(global.content).is_none() {
                    self.left_out.push(format!("the global \"{shown}\" is a vector or a reference"));
                    return;
                }
                let mut name = names.take(&self.prefix, export.name, &["", "_set"]);
                let set = name.pop().filter(|_| global.mutable);
                let get = name.remove(0);
                self.globals.push(Global { get, set, shown, number, content: global.content });
            }
            Kind::Table => self.left_out.push(format!("the table \"{shown}\"")),
        }
    }

    /// Whether each import has something to stand in for it.
    fn all_denied(&self) -> bool {
        self.imports.iter().all(|import| import.denial.is_some())
    }
}

/// How many things the header would name.
fn items(module: &Module<'_>) -> usize {
    let imports = module.imports.iter().map(|import| (import.kind, import.index));
    let exports = module.exports.iter().map(|export| (export.kind, export.index));
    let items = |(kind, index)| match kind {
        Kind::Function => {
            let signature = module.signature(index);
            1 + signature.params.len() + signature.results.len()
        }
        _ => 1,
    };
    imports.chain(exports).map(items).sum()
}

/// What the product gives: functions whose types C has.
fn imports<'a>(module: &'a Module<'a>) -> Result<Vec<Import<'a>>, Error> {
    let mut names = Names::default();
    let of = |import: &crate::module::Import<'a>| {
        let shown = format!("{}.{}", shown(import.module), shown(import.name));
        let kind = match import.kind {
            Kind::Function if is_of_c(module.signature(import.index)) => None,
            Kind::Function => Some("function with a vector or a reference"),
            Kind::Memory => Some("memory"),
            Kind::Table => Some("table"),
            Kind::Global => Some("global"),
        };
        if let Some(kind) = kind {
            return Err(Error::NotOfC { kind, name: shown });
        }
        let field = names.take(&names::prefix("import", import.module), import.name, &[""]).remove(0);
        let signature = module.signature(import.index);
        let denial = match import.module {
            "wasi_snapshot_preview1" => denial(import.name, signature),
            _ => None,
        };
        Ok(Import { field, shown, signature, denial })
    };
    module.imports.iter().map(of).collect()
}

/// What a function of WASI 0.1 does that is not there. A program that looks for files or arguments at its start goes on
/// after this, and finds none.
fn denial(name: &str, signature: &Signature) -> Option<Denial> {
    let (bad_descriptor, not_there) = (8, 52);
    match (name, &signature.params[..], &signature.results[..]) {
        ("proc_exit", [Type::I32], []) => Some(Denial::Trap),
        ("args_sizes_get" | "environ_sizes_get", [Type::I32, Type::I32], [Type::I32]) => Some(Denial::None),
        ("args_get" | "environ_get" | "sched_yield", _, [Type::I32]) => Some(Denial::Error(0)),
        (name, _, [Type::I32]) if ["fd_", "path_", "sock_"].iter().any(|group| name.starts_with(group)) => {
            Some(Denial::Error(bad_descriptor))
        }
        (_, _, [Type::I32]) => Some(Denial::Error(not_there)),
        _ => None,
    }
}

fn is_of_c(signature: &Signature) -> bool {
    signature.params.iter().chain(&signature.results).all(|ty| c_type(*ty).is_some())
}

/// What C calls a type, if it has it everywhere.
fn c_type(ty: Type) -> Option<&'static str> {
    match ty {
        Type::I32 => Some("int32_t"),
        Type::I64 => Some("int64_t"),
        Type::F32 => Some("float"),
        Type::F64 => Some("double"),
        Type::V128 | Type::Function | Type::Extern => None,
    }
}

/// The parameters of a function in C after those that come `first`: what it takes, then where its results go.
fn params(first: &str, signature: &Signature) -> String {
    let mut text = first.to_owned();
    let of = |ty: &Type| c_type(*ty).expect("only such functions are written");
    for (index, ty) in signature.params.iter().enumerate() {
        text.push_str(&format!(", {} p{index}", of(ty)));
    }
    for (index, ty) in signature.results.iter().enumerate() {
        text.push_str(&format!(", {} *{}", of(ty), result(index)));
    }
    text
}

/// What a result is called.
fn result(index: usize) -> String {
    if index == 0 { "result".to_owned() } else { format!("result{}", index + 1) }
}
