//! What a program consists of, read from its bytes without compiling or running any of it.

use std::collections::{BTreeMap, BTreeSet};

use wasmparser::types::EntityType;
use wasmparser::{
    Encoding, ExternalKind, FuncType, Operator, Parser, Payload, TypeRef, ValidPayload, Validator,
    WasmFeatures,
};

use crate::{Error, Form, binary};

/// The parts of a program.
#[derive(Clone, Debug, PartialEq)]
pub struct Anatomy {
    /// Module or component.
    pub form: Form,
    /// Bytes of the whole file.
    pub bytes: usize,
    /// Bytes of each kind of section, over all nested modules and components, by name.
    pub sections: BTreeMap<String, usize>,
    /// Functions with a body.
    pub functions: usize,
    /// Core modules inside, for a component; else one.
    pub modules: usize,
    /// Bytes of memory that all modules together begin with.
    pub memory_bytes_min: u64,
    /// Proposals beyond Wasm 1.0 without which the program is not valid, by their usual names.
    pub proposals: BTreeSet<&'static str>,
    /// What the outermost module or component imports.
    pub imports: Vec<Item>,
    /// What it exports.
    pub exports: Vec<Item>,
}

/// One import or export.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// The importing namespace of a core module's import, `wasi_snapshot_preview1` for instance.
    pub module: Option<String>,
    /// The name.
    pub name: String,
    /// Its kind, and the signature of a core function.
    pub kind: String,
}

/// Proposals that show in types, limits and sections: what fails to validate without one uses it.
const FEATURES: [(WasmFeatures, &str); 14] = [
    (WasmFeatures::MUTABLE_GLOBAL, "mutable-global"),
    (WasmFeatures::REFERENCE_TYPES, "reference-types"),
    (WasmFeatures::MULTI_VALUE, "multi-value"),
    (WasmFeatures::BULK_MEMORY, "bulk-memory"),
    (WasmFeatures::SIMD, "simd"),
    (WasmFeatures::THREADS, "threads"),
    (WasmFeatures::MULTI_MEMORY, "multi-memory"),
    (WasmFeatures::EXCEPTIONS, "exceptions"),
    (WasmFeatures::MEMORY64, "memory64"),
    (WasmFeatures::EXTENDED_CONST, "extended-const"),
    (WasmFeatures::FUNCTION_REFERENCES, "function-references"),
    (WasmFeatures::GC, "gc"),
    (WasmFeatures::CUSTOM_PAGE_SIZES, "custom-page-sizes"),
    (WasmFeatures::CM_ASYNC, "component-model-async"),
];

/// What [`Settings::has_signals`](crate::Settings::has_signals) leaves out.
const MOVES_FRAMES: WasmFeatures = WasmFeatures::TAIL_CALL
    .union(WasmFeatures::GC)
    .union(WasmFeatures::GC_TYPES)
    .union(WasmFeatures::EXCEPTIONS);

impl Anatomy {
    /// Takes a module or component apart.
    ///
    /// # Errors
    /// [`Error::NotWasm`], [`Error::Text`], and [`Error::Invalid`] where even the newest proposals do not make it
    /// valid. Bodies of functions are not validated.
    pub fn of(bytes: &[u8]) -> Result<Self, Error> {
        let form = match Form::detect(bytes).map_err(Error::NotWasm)? {
            Form::Text => return Self::of(&binary(bytes)?),
            Form::Compiled => return Err(Error::NotWasm("compiled already".to_owned())),
            form => form,
        };
        let malformed = |error: wasmparser::BinaryReaderError| Error::Invalid(error.into());
        let mut anatomy = Self {
            form,
            bytes: bytes.len(),
            sections: BTreeMap::new(),
            functions: 0,
            modules: 0,
            memory_bytes_min: 0,
            proposals: BTreeSet::new(),
            imports: Vec::new(),
            exports: Vec::new(),
        };
        anatomy.read(bytes).map_err(malformed)?;
        let outside = outside(bytes, WasmFeatures::all()).map_err(malformed)?;
        (anatomy.imports, anatomy.exports) = outside;
        for (feature, name) in FEATURES {
            if self::outside(bytes, WasmFeatures::all().difference(feature)).is_err() {
                anatomy.proposals.insert(name);
            }
        }
        Ok(anatomy)
    }

    fn read(&mut self, bytes: &[u8]) -> wasmparser::Result<()> {
        for payload in Parser::new(0).parse_all(bytes) {
            let payload = payload?;
            if let Some((id, range)) = payload.as_section() {
                // A nested module is counted by its own sections.
                if !matches!(payload, Payload::ModuleSection { .. } | Payload::ComponentSection { .. }) {
                    *self.sections.entry(section_name(&payload, id)).or_default() += range.len();
                }
            }
            match payload {
                Payload::Version { encoding: Encoding::Module, .. } => self.modules += 1,
                Payload::MemorySection(memories) => {
                    for memory in memories {
                        let memory = memory?;
                        let page_bytes =
                            1_u64.checked_shl(memory.page_size_log2.unwrap_or(16)).unwrap_or(u64::MAX);
                        let bytes = memory.initial.saturating_mul(page_bytes);
                        self.memory_bytes_min = self.memory_bytes_min.saturating_add(bytes);
                    }
                }
                Payload::CodeSectionEntry(body) => {
                    self.functions += 1;
                    for operator in body.get_operators_reader()? {
                        self.proposals.extend(proposal(&operator?));
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }
}

/// Whether a component uses the component model's async, and is valid with it.
pub(crate) fn is_concurrent(bytes: &[u8]) -> bool {
    let without = WasmFeatures::all().difference(WasmFeatures::CM_ASYNC);
    outside(bytes, WasmFeatures::all()).is_ok() && outside(bytes, without).is_err()
}

/// Whether a program is valid, and is not without the proposals that no signal may interrupt.
pub(crate) fn is_unstoppable(bytes: &[u8]) -> bool {
    let is_valid = |features| Validator::new_with_features(features).validate_all(bytes).is_ok();
    is_valid(WasmFeatures::all()) && !is_valid(WasmFeatures::all().difference(MOVES_FRAMES))
}

/// The name under which a section's bytes are counted.
fn section_name(payload: &Payload<'_>, id: u8) -> String {
    match payload {
        Payload::CustomSection(custom) => format!("custom `{}`", custom.name()),
        Payload::CodeSectionStart { .. } => "code".to_owned(),
        Payload::DataSection(_) => "data".to_owned(),
        Payload::TypeSection(_) => "types".to_owned(),
        Payload::ElementSection(_) => "elements".to_owned(),
        Payload::ImportSection(_) => "imports".to_owned(),
        Payload::ExportSection(_) => "exports".to_owned(),
        Payload::FunctionSection(_) => "functions".to_owned(),
        Payload::GlobalSection(_) => "globals".to_owned(),
        Payload::ComponentTypeSection(_) => "component types".to_owned(),
        Payload::ComponentCanonicalSection(_) => "canonical functions".to_owned(),
        Payload::UnknownSection { .. } => format!("unknown {id}"),
        _ => "other".to_owned(),
    }
}

/// Validates all but the bodies of functions, and lists what the outermost module or component imports and exports.
fn outside(bytes: &[u8], features: WasmFeatures) -> wasmparser::Result<(Vec<Item>, Vec<Item>)> {
    let mut validator = Validator::new_with_features(features);
    let (mut imports, mut exports) = (Vec::new(), Vec::new());
    let mut depth = 0;
    for payload in Parser::new(0).parse_all(bytes) {
        let payload = payload?;
        if let ValidPayload::Parser(_) = validator.payload(&payload)? {
            depth += 1;
            continue;
        }
        if let Payload::End(_) = payload {
            depth -= 1;
        }
        if depth != 0 {
            continue;
        }
        match payload {
            Payload::ImportSection(section) => {
                for import in section.into_imports() {
                    let import = import?;
                    imports.push(Item {
                        module: Some(import.module.to_owned()),
                        name: import.name.to_owned(),
                        kind: core_type(&validator, import.ty),
                    });
                }
            }
            Payload::ExportSection(section) => {
                for export in section {
                    let export = export?;
                    let kind = core_export(&validator, export.kind, export.index);
                    exports.push(Item { module: None, name: export.name.to_owned(), kind });
                }
            }
            Payload::ComponentImportSection(section) => {
                for import in section {
                    let import = import?;
                    let kind = component_kind(import.ty.kind());
                    imports.push(Item { module: None, name: import.name.name.to_owned(), kind });
                }
            }
            Payload::ComponentExportSection(section) => {
                for export in section {
                    let export = export?;
                    let kind = component_kind(export.kind);
                    exports.push(Item { module: None, name: export.name.name.to_owned(), kind });
                }
            }
            _ => {}
        }
    }
    Ok((imports, exports))
}

fn component_kind(kind: wasmparser::ComponentExternalKind) -> String {
    use wasmparser::ComponentExternalKind as Kind;
    match kind {
        Kind::Module => "core module",
        Kind::Func => "function",
        Kind::Value => "value",
        Kind::Type => "type",
        Kind::Instance => "interface",
        Kind::Component => "component",
    }
    .to_owned()
}

fn core_type(validator: &Validator, kind: TypeRef) -> String {
    match kind {
        TypeRef::Func(index) | TypeRef::FuncExact(index) => {
            let types = validator.types(0).expect("inside a module");
            let found =
                (index < types.core_type_count_in_module()).then(|| types.core_type_at_in_module(index));
            match found.and_then(|id| types.get(id)) {
                Some(found)
                    if matches!(found.composite_type.inner, wasmparser::CompositeInnerType::Func(_)) =>
                {
                    signature(found.unwrap_func())
                }
                _ => "function".to_owned(),
            }
        }
        TypeRef::Table(table) => format!("table of {}", table.element_type),
        TypeRef::Memory(memory) => format!("memory of {} pages", memory.initial),
        TypeRef::Global(global) => format!("global {}", global.content_type),
        TypeRef::Tag(_) => "tag".to_owned(),
    }
}

fn core_export(validator: &Validator, kind: ExternalKind, index: u32) -> String {
    let types = validator.types(0).expect("inside a module");
    let Some(entity) = types.entity_type_from_export(&wasmparser::Export { name: "", kind, index }) else {
        return "export".to_owned();
    };
    match entity {
        EntityType::Func(id) | EntityType::FuncExact(id) => {
            types.get(id).map_or_else(|| "function".to_owned(), |found| signature(found.unwrap_func()))
        }
        EntityType::Table(table) => format!("table of {}", table.element_type),
        EntityType::Memory(memory) => format!("memory of {} pages", memory.initial),
        EntityType::Global(global) => format!("global {}", global.content_type),
        EntityType::Tag(_) => "tag".to_owned(),
    }
}

/// A function's type as `(i32, i64) -> (f64)`.
fn signature(function: &FuncType) -> String {
    let list =
        |kinds: &[wasmparser::ValType]| kinds.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    format!("({}) -> ({})", list(function.params()), list(function.results()))
}

macro_rules! proposals {
    ($( @$proposal:ident $operator:ident $({ $($field:ident: $kind:ty),* })? => $visit:ident ($($note:tt)*) )*) => {
        /// The proposal, as wasmparser writes it, that an instruction came with.
        fn proposal_id(operator: &Operator<'_>) -> &'static str {
            match operator {
                $( Operator::$operator { .. } => stringify!($proposal), )*
                _ => "unknown",
            }
        }
    };
}
wasmparser::for_each_operator!(proposals);

/// The usual name of the proposal that an instruction came with, unless it was there from the beginning.
fn proposal(operator: &Operator<'_>) -> Option<&'static str> {
    Some(match proposal_id(operator) {
        "sign_extension" => "sign-extension",
        "saturating_float_to_int" => "saturating-float-to-int",
        "bulk_memory" => "bulk-memory",
        "reference_types" => "reference-types",
        "simd" => "simd",
        "relaxed_simd" => "relaxed-simd",
        "threads" => "threads",
        "tail_call" => "tail-call",
        "exceptions" => "exceptions",
        "legacy_exceptions" => "legacy-exceptions",
        "function_references" => "function-references",
        "gc" => "gc",
        "stack_switching" => "stack-switching",
        "wide_arithmetic" => "wide-arithmetic",
        "memory_control" => "memory-control",
        "shared_everything_threads" => "shared-everything-threads",
        "custom_descriptors" => "custom-descriptors",
        _ => return None,
    })
}
