//! The module that stands for native code where Wasmtime runs it.
//!
//! It imports and exports what the program does, has its memories with their data, and no code of it: each export goes
//! into native code, and does on its behalf what only WebAssembly can, which is to call an import and to grow a memory. So
//! linkers, pools, limits and clocks meet native code as they meet any other module.
//!
//! Whatever crosses lies in one more memory, the exchange, which the program cannot name. To grow it is the door into native
//! code: the [`Meter`](crate::Meter) is asked about every growth, sees that something is asked for in the exchange, does it,
//! and refuses the growth. A function of the host would be the front door, but a component may not call one everywhere: not
//! where its memory is being written to, for which it is called itself.

use wasm_encoder::reencode::{self, Reencode, RoundtripReencoder};
use wasm_encoder::{
    BlockType, CodeSection, DataSection, EntityType, ExportKind, ExportSection, Function, FunctionSection,
    GlobalSection, ImportSection, InstructionSink, MemArg, MemorySection, MemoryType, Module, NameMap,
    NameSection, StartSection, TypeSection, ValType,
};
use wasmparser::{
    CompositeInnerType, DataKind, ExternalKind, FuncType, GlobalType, Import, Operator, Parser, Payload,
    TypeRef,
};

/// Where the host's function is imported from that makes native instances.
pub(super) const MODULE: &str = "sampan:native";
/// What the memory for arguments and results is exported as.
pub(super) const EXCHANGE: &str = "sampan:exchange";
/// What the function that initializes native code is exported as.
pub(super) const INITIALIZE: &str = "sampan:initialize";
/// What the functions are called in backtraces through which native code is reached.
pub(super) const DOOR: &str = "sampan:door";
/// What all names begin with that are not the program's own.
pub(super) const PREFIX: &str = "sampan:";

/// Which export stands for what an instance begins with.
pub(super) const BEGIN: u32 = u32::MAX;

/// Where it is written in the exchange what is asked for: [`ENTER`], [`RESUME`] or nothing.
pub(super) const ASKED_AT: usize = 0;
/// To call the export of the number that is written next.
pub(super) const ENTER: u64 = 1;
/// To go on with the call of that number.
pub(super) const RESUME: u64 = 2;
/// Of which export, or which call.
pub(super) const NUMBER_AT: usize = 8;
/// What came of it: in the lower half [`DONE`] or what is to be done first, in the upper half the number of the call.
pub(super) const STATE_AT: usize = 16;
/// How many pages each memory has.
pub(super) const SIZES_AT: usize = 32;
/// Where the slots of 8 bytes begin for arguments and results, of which a vector takes two.
pub(super) const SLOTS_AT: usize = 1024;
/// More memories than this have no room for their sizes.
const MEMORIES_MAX: usize = (SLOTS_AT - SIZES_AT) / 8;
/// Pages that the exchange might have, if it ever grew. It has one.
pub(super) const EXCHANGE_PAGES_MAX: u64 = 24_301;
/// Each import is a case of one branch.
const IMPORTS_MAX: usize = 10_000;

/// What a call into native code came to: its end, or what is to be done for it before it goes on.
pub(super) const DONE: u32 = 0;
/// The pages in the second slot are wanted for the memory in the first, where what it was before is to be put.
pub(super) const GROW: u32 = 1;
/// Nothing but to look at the clock.
pub(super) const TICK: u32 = 2;
/// The import of this number, counted from here, is to be called.
pub(super) const IMPORT: u32 = 3;

/// The locals of [`Shim::run`] that hold a result, one of each type, and the first of them.
const LOCALS: [wasmparser::ValType; 5] = {
    use wasmparser::ValType as V;
    [V::I32, V::I64, V::F32, V::F64, V::V128]
};
/// See [`LOCALS`].
const FIRST_LOCAL: u32 = 2;

/// What a memory of the shim is exported as, for the host.
pub(super) fn memory_name(index: usize) -> String {
    format!("{PREFIX}memory{index}")
}

/// Why a module cannot be native code behind a shim.
pub(super) type Refusal = String;

/// A module as far as its shim depends on it.
#[derive(Default)]
struct Outline<'a> {
    types: Vec<FuncType>,
    imports: Vec<Import<'a>>,
    /// The type of each function, imported ones first.
    functions: Vec<u32>,
    functions_imported: u32,
    memories: Vec<wasmparser::MemoryType>,
    memories_imported: usize,
    globals: Vec<(GlobalType, wasmparser::ConstExpr<'a>)>,
    exports: Vec<wasmparser::Export<'a>>,
    start: Option<u32>,
    data: Vec<(u32, wasmparser::ConstExpr<'a>, &'a [u8])>,
}

/// Where a module is.
#[derive(Clone, Copy)]
pub(super) enum Within {
    /// It is the program: its shim initializes itself.
    Nothing,
    /// It is the module of this number among those of a component that are native code. A binder initializes its shim.
    Component(u32),
}

/// The shim of a module, and how many memories the module has. It may be a module that is not valid: then the shim, or what
/// reads the module next, is not either.
///
/// # Errors
/// What it has that only Wasmtime's own code can share.
pub(super) fn shim(wasm: &[u8], within: Within) -> Result<(Vec<u8>, usize), Refusal> {
    let outline = Outline::read(wasm)?;
    if let Within::Component(_) = within
        && outline.memories.iter().any(|memory| memory.memory64)
    {
        // Its binder tells where memories begin by lists, which components have in memories of 32 bits only.
        return Err("it has a memory of 64 bits".to_owned());
    }
    let memories = outline.memories.len();
    let shim = Shim { outline, within }.write().map_err(|error| error.to_string())?;
    Ok((shim, memories))
}

/// Whether a module has a memory of its own, as all do that are more than a few lines between others.
pub(super) fn has_memory(wasm: &[u8]) -> bool {
    let is_memory = |payload| matches!(payload, Ok(Payload::MemorySection(section)) if section.count() > 0);
    Parser::new(0).parse_all(wasm).any(is_memory)
}

fn slots_of(types: &[wasmparser::ValType]) -> usize {
    types.iter().map(|ty| if *ty == wasmparser::ValType::V128 { 2 } else { 1 }).sum()
}

impl<'a> Outline<'a> {
    fn read(wasm: &'a [u8]) -> Result<Self, Refusal> {
        let mut outline = Self::default();
        for payload in Parser::new(0).parse_all(wasm) {
            payload
                .and_then(|payload| outline.section(payload))
                .map_err(|error| error.to_string())?
                .map_or(Ok(()), |refusal| Err(refusal.to_owned()))?;
        }
        outline.check()?;
        Ok(outline)
    }

    fn section(&mut self, payload: Payload<'a>) -> wasmparser::Result<Option<&'static str>> {
        match payload {
            Payload::TypeSection(types) => {
                for group in types {
                    for ty in group?.into_types() {
                        let CompositeInnerType::Func(ty) = ty.composite_type.inner else {
                            return Ok(Some("it has types of garbage collection"));
                        };
                        self.types.push(ty);
                    }
                }
            }
            Payload::ImportSection(imports) => {
                for import in imports.into_imports() {
                    let import = import?;
                    match import.ty {
                        TypeRef::Func(ty) | TypeRef::FuncExact(ty) => {
                            self.functions.push(ty);
                            self.functions_imported += 1;
                        }
                        TypeRef::Memory(ty) => {
                            self.memories.push(ty);
                            self.memories_imported += 1;
                        }
                        TypeRef::Table(_) => return Ok(Some("it imports a table")),
                        TypeRef::Global(_) => return Ok(Some("it imports a global")),
                        TypeRef::Tag(_) => return Ok(Some("it imports a tag")),
                    }
                    self.imports.push(import);
                }
            }
            Payload::FunctionSection(functions) => {
                for ty in functions {
                    self.functions.push(ty?);
                }
            }
            Payload::MemorySection(memories) => {
                for memory in memories {
                    self.memories.push(memory?);
                }
            }
            Payload::GlobalSection(globals) => {
                for global in globals {
                    let global = global?;
                    self.globals.push((global.ty, global.init_expr));
                }
            }
            Payload::ExportSection(exports) => {
                self.exports = exports.into_iter().collect::<wasmparser::Result<_>>()?;
            }
            Payload::StartSection { func, .. } => self.start = Some(func),
            Payload::DataSection(segments) => {
                for segment in segments {
                    let segment = segment?;
                    if let DataKind::Active { memory_index, offset_expr } = segment.kind {
                        self.data.push((memory_index, offset_expr, segment.data));
                    }
                }
            }
            _ => {}
        }
        Ok(None)
    }

    fn type_of(&self, function: u32) -> &FuncType {
        &self.types[self.functions[function as usize] as usize]
    }

    /// Whether everything that crosses can.
    fn check(&self) -> Result<(), Refusal> {
        let refuse = |why: &str| Err(why.to_owned());
        let known =
            |function: &u32| (*function as usize) < self.functions.len() && self.type_is_known(*function);
        if self.memories.iter().any(|memory| memory.shared) {
            return refuse("it shares a memory with other threads");
        }
        if self.memories.len() > MEMORIES_MAX || self.imports.len() > IMPORTS_MAX {
            return refuse("it has more memories or imports than native code can have");
        }
        if self.imports.iter().any(|import| import.module == MODULE || import.name.starts_with(PREFIX)) {
            return refuse("it imports what is kept for the host");
        }
        let mut crossing: Vec<u32> = (0..self.functions_imported).chain(self.start).collect();
        for export in &self.exports {
            if export.name.starts_with(PREFIX) {
                return Err(format!("it exports `{}`, a name that is kept for the host", export.name));
            }
            match export.kind {
                ExternalKind::Func | ExternalKind::FuncExact => crossing.push(export.index),
                ExternalKind::Memory => {}
                ExternalKind::Table => return refuse("it exports a table"),
                ExternalKind::Tag => return refuse("it exports a tag"),
                ExternalKind::Global => match self.globals.get(export.index as usize) {
                    Some((ty, value)) if !ty.mutable && is_constant(value) => {}
                    _ => return refuse("it exports a global that changes"),
                },
            }
        }
        if !crossing.iter().all(known) {
            return refuse("a function that it imports or exports takes or gives references");
        }
        Ok(())
    }

    /// Whether a function takes and gives nothing but numbers and vectors.
    fn type_is_known(&self, function: u32) -> bool {
        let is_number = |ty: &wasmparser::ValType| !matches!(ty, wasmparser::ValType::Ref(_));
        match self.types.get(self.functions[function as usize] as usize) {
            Some(ty) => ty.params().iter().all(is_number) && ty.results().iter().all(is_number),
            None => false,
        }
    }
}

/// Whether a value is a number that stands in the module.
fn is_constant(value: &wasmparser::ConstExpr<'_>) -> bool {
    let mut operators = value.get_operators_reader().into_iter();
    operators.all(|operator| {
        use Operator as O;
        matches!(
            operator,
            Ok(O::I32Const { .. }
                | O::I64Const { .. }
                | O::F32Const { .. }
                | O::F64Const { .. }
                | O::V128Const { .. }
                | O::End)
        )
    })
}

/// Writes a shim. Its functions are the program's imports, the host's one, then the four that are numbered here, and one for
/// each exported function.
struct Shim<'a> {
    outline: Outline<'a>,
    within: Within,
}

type Written<T> = Result<T, reencode::Error>;

impl Shim<'_> {
    const fn make(&self) -> u32 {
        self.outline.functions_imported
    }

    const fn ask(&self) -> u32 {
        self.make() + 1
    }

    const fn run(&self) -> u32 {
        self.make() + 2
    }

    const fn begin(&self) -> u32 {
        self.make() + 3
    }

    const fn start(&self) -> u32 {
        self.make() + 4
    }

    const fn exchange(&self) -> u32 {
        self.outline.memories.len() as u32
    }

    fn write(&self) -> Written<Vec<u8>> {
        let Outline { types, imports, memories, .. } = &self.outline;
        let copy = &mut RoundtripReencoder;
        let mut type_section = TypeSection::new();
        for ty in types {
            let values = |list: &[wasmparser::ValType]| {
                list.iter().map(|ty| RoundtripReencoder.val_type(*ty)).collect::<Result<Vec<ValType>, _>>()
            };
            // Types of references are nowhere used, and stand for themselves.
            type_section.ty().function(values(ty.params())?, values(ty.results())?);
        }
        let own_types = types.len() as u32;
        type_section.ty().function([ValType::I32], []);
        type_section.ty().function([ValType::I64, ValType::I64], [ValType::I64]);
        type_section.ty().function([], []);
        let [number, ask, nothing] = [0, 1, 2].map(|index| own_types + index);

        let mut import_section = ImportSection::new();
        for import in imports {
            import_section.import(import.module, import.name, copy.entity_type(import.ty)?);
        }
        import_section.import(MODULE, "make", EntityType::Function(number));

        let mut memory_section = MemorySection::new();
        for memory in &memories[self.outline.memories_imported..] {
            memory_section.memory(copy.memory_type(*memory)?);
        }
        memory_section.memory(MemoryType {
            minimum: 1,
            maximum: Some(EXCHANGE_PAGES_MAX),
            memory64: false,
            shared: false,
            page_size_log2: None,
        });

        let mut functions = FunctionSection::new();
        let mut code = CodeSection::new();
        functions.function(ask).function(number).function(nothing).function(nothing);
        code.function(&self.write_ask()).function(&self.write_run());
        code.function(&self.write_begin()).function(&self.write_start());

        let mut globals = GlobalSection::new();
        let mut exports = ExportSection::new();
        let (mut functions_len, mut names) = (self.start() + 1, Vec::new());
        for (number, export) in self.outline.exports.iter().enumerate() {
            let (kind, index) = match export.kind {
                ExternalKind::Global => {
                    let (ty, value) = &self.outline.globals[export.index as usize];
                    globals.global(copy.global_type(*ty)?, &copy.const_expr(value.clone())?);
                    (ExportKind::Global, globals.len() - 1)
                }
                ExternalKind::Memory => (ExportKind::Memory, export.index),
                _ if export.index < self.outline.functions_imported => (ExportKind::Func, export.index),
                _ => {
                    functions.function(self.outline.functions[export.index as usize]);
                    code.function(&self.write_export(number as u32, export.index));
                    names.push((functions_len, export.name));
                    functions_len += 1;
                    (ExportKind::Func, functions_len - 1)
                }
            };
            exports.export(export.name, kind, index);
        }
        exports.export(EXCHANGE, ExportKind::Memory, self.exchange());
        if let Within::Component(_) = self.within {
            exports.export(INITIALIZE, ExportKind::Func, self.begin());
        }
        for index in 0..memories.len() {
            exports.export(&memory_name(index), ExportKind::Memory, index as u32);
        }

        let mut data = DataSection::new();
        for (memory, offset, bytes) in &self.outline.data {
            data.active(*memory, &copy.const_expr(offset.clone())?, bytes.iter().copied());
        }

        let mut named = NameMap::new();
        named.append(self.ask(), DOOR);
        named.append(self.run(), DOOR);
        for (index, name) in &names {
            named.append(*index, name);
        }
        let mut name_section = NameSection::new();
        name_section.functions(&named);

        let mut module = Module::new();
        module.section(&type_section).section(&import_section).section(&functions);
        module.section(&memory_section).section(&globals).section(&exports);
        module.section(&StartSection { function_index: self.start() });
        module.section(&code).section(&data).section(&name_section);
        Ok(module.finish())
    }

    /// Makes the native instance.
    fn write_start(&self) -> Function {
        let mut function = Function::new([]);
        let mut code = function.instructions();
        match self.within {
            Within::Nothing => code.i32_const(0).call(self.make()).call(self.begin()),
            Within::Component(number) => code.i32_const(number as i32).call(self.make()),
        };
        code.end();
        function
    }

    /// Initializes the native instance, and calls the start function.
    fn write_begin(&self) -> Function {
        let mut function = Function::new([]);
        let mut code = function.instructions();
        code.i32_const(BEGIN as i32).call(self.run());
        match self.outline.start {
            Some(start) if start < self.outline.functions_imported => {
                code.call(start);
            }
            Some(_) => {
                // It is the last export of native code.
                code.i32_const(self.outline.exports.len() as i32).call(self.run());
            }
            None => {}
        }
        code.end();
        function
    }

    /// Calls an exported function of native code.
    fn write_export(&self, number: u32, function: u32) -> Function {
        let ty = self.outline.type_of(function);
        let mut body = Function::new([]);
        let mut code = body.instructions();
        let mut slot = 0;
        for (index, ty) in (0..).zip(ty.params()) {
            code.i32_const(0).local_get(index);
            self.store(&mut code, slot, *ty);
            slot += slots_of(&[*ty]);
        }
        code.i32_const(number as i32).call(self.run());
        self.load_all(&mut code, ty.results());
        code.end();
        body
    }

    /// Asks for something at the door, and gives what came of it.
    fn write_ask(&self) -> Function {
        let mut function = Function::new([]);
        let mut code = function.instructions();
        code.i32_const(0).local_get(0).i64_store(self.at(ASKED_AT));
        code.i32_const(0).local_get(1).i64_store(self.at(NUMBER_AT));
        for index in 0..self.exchange() {
            code.i32_const(0).memory_size(index);
            if !self.is_of_64_bits(index) {
                code.i64_extend_i32_u();
            }
            code.i64_store(self.at(SIZES_AT + 8 * index as usize));
        }
        code.i32_const(1).memory_grow(self.exchange()).drop();
        code.i32_const(0).i64_load(self.at(STATE_AT)).end();
        function
    }

    /// Enters native code at an export, and does what it asks for until it is done.
    fn write_run(&self) -> Function {
        const STATE: u32 = 1;
        let held = [ValType::I32, ValType::I64, ValType::F32, ValType::F64, ValType::V128];
        let mut function = Function::new_with_locals_types([ValType::I64].into_iter().chain(held));
        let mut code = function.instructions();
        let imports = self.outline.functions_imported;
        code.i64_const(ENTER as i64).local_get(0).i64_extend_i32_u().call(self.ask()).local_set(STATE);
        code.loop_(BlockType::Empty);
        // Blocks from the inside: done, grow, tick, each import, and what goes on.
        let cases = IMPORT + imports;
        for _ in 0..=cases {
            code.block(BlockType::Empty);
        }
        code.local_get(STATE).i32_wrap_i64();
        code.br_table((0..cases).collect::<Vec<_>>(), cases);
        code.end().return_();
        let resume = |case: u32| cases - 1 - case;
        code.end();
        self.write_grow(&mut code);
        code.br(resume(GROW));
        code.end().br(resume(TICK));
        for import in 0..imports {
            code.end();
            let ty = self.outline.type_of(import);
            self.load_all(&mut code, ty.params());
            code.call(import);
            self.store_results(&mut code, ty.results());
            code.br(resume(IMPORT + import));
        }
        code.end();
        code.i64_const(RESUME as i64).local_get(STATE).i64_const(32).i64_shr_u();
        code.call(self.ask()).local_set(STATE).br(0);
        code.end().end();
        function
    }

    /// Grows the memory that the first slot names by the pages in the second.
    fn write_grow(&self, code: &mut InstructionSink<'_>) {
        for index in 0..self.exchange() {
            code.i32_const(0).i64_load(self.slot(0)).i64_const(index.into()).i64_eq();
            code.if_(BlockType::Empty);
            code.i32_const(0);
            code.i32_const(0).i64_load(self.slot(1));
            match self.is_of_64_bits(index) {
                true => code.memory_grow(index),
                false => code.i32_wrap_i64().memory_grow(index).i64_extend_i32_s(),
            };
            code.i64_store(self.slot(1));
            code.end();
        }
    }

    fn is_of_64_bits(&self, memory: u32) -> bool {
        self.outline.memories[memory as usize].memory64
    }

    /// Puts arguments or results from the slots on the stack.
    fn load_all(&self, code: &mut InstructionSink<'_>, types: &[wasmparser::ValType]) {
        use wasmparser::ValType as V;
        let mut slot = 0;
        for ty in types {
            let at = self.slot(slot);
            code.i32_const(0);
            match ty {
                V::I32 => code.i64_load(at).i32_wrap_i64(),
                V::F32 => code.i64_load(at).i32_wrap_i64().f32_reinterpret_i32(),
                V::F64 => code.i64_load(at).f64_reinterpret_i64(),
                V::V128 => code.v128_load(at),
                _ => code.i64_load(at),
            };
            slot += slots_of(&[*ty]);
        }
    }

    /// Takes results off the stack into the slots.
    fn store_results(&self, code: &mut InstructionSink<'_>, types: &[wasmparser::ValType]) {
        let mut slot = slots_of(types);
        for ty in types.iter().rev() {
            slot -= slots_of(&[*ty]);
            let held = LOCALS.iter().position(|local| local == ty).expect("it is no reference");
            let held = FIRST_LOCAL + held as u32;
            code.local_set(held).i32_const(0).local_get(held);
            self.store(code, slot, *ty);
        }
    }

    /// Stores the value on the stack, above an address, in a slot.
    fn store(&self, code: &mut InstructionSink<'_>, slot: usize, ty: wasmparser::ValType) {
        use wasmparser::ValType as V;
        let at = self.slot(slot);
        match ty {
            V::I32 => code.i64_extend_i32_u().i64_store(at),
            V::F32 => code.i32_reinterpret_f32().i64_extend_i32_u().i64_store(at),
            V::F64 => code.i64_reinterpret_f64().i64_store(at),
            V::V128 => code.v128_store(at),
            _ => code.i64_store(at),
        };
    }

    const fn at(&self, offset: usize) -> MemArg {
        MemArg { offset: offset as u64, align: 3, memory_index: self.exchange() }
    }

    const fn slot(&self, slot: usize) -> MemArg {
        self.at(SLOTS_AT + 8 * slot)
    }
}
