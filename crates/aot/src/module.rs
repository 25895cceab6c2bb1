//! A validated module, as far as its code depends on it.

use std::collections::HashMap;

use crate::Error;
use crate::assembly::START;
use crate::callees::Functions;
use rt::abi::{Counts, ELEMENT_NULL, Kind, NO_MAX};
use wasmparser::{
    CompositeInnerType, ConstExpr, DataKind, ElementItems, ElementKind, ExternalKind, FunctionBody, Operator,
    Parser, Payload, RefType, TypeRef, ValType,
};

/// The type of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Type {
    I32,
    I64,
    F32,
    F64,
    V128,
    Function,
    Extern,
}

impl Type {
    pub(crate) fn new(of: ValType) -> Self {
        match of {
            ValType::I32 => Self::I32,
            ValType::I64 => Self::I64,
            ValType::F32 => Self::F32,
            ValType::F64 => Self::F64,
            ValType::V128 => Self::V128,
            ValType::Ref(of) => Self::reference(of),
        }
    }

    pub(crate) fn reference(of: RefType) -> Self {
        if of == RefType::FUNCREF { Self::Function } else { Self::Extern }
    }

    pub(crate) const fn ir(self) -> &'static str {
        match self {
            Self::I32 => "i32",
            Self::I64 => "i64",
            Self::F32 => "float",
            Self::F64 => "double",
            Self::V128 => "<2 x i64>",
            Self::Function | Self::Extern => "ptr",
        }
    }

    /// The letter of a signature in [`rt::abi`].
    pub(crate) const fn letter(self) -> u8 {
        match self {
            Self::I32 => b'i',
            Self::I64 => b'I',
            Self::F32 => b'f',
            Self::F64 => b'F',
            Self::V128 => b'v',
            Self::Function => b'r',
            Self::Extern => b'x',
        }
    }

    /// How many slots of 8 bytes it takes.
    pub(crate) const fn slots(self) -> usize {
        if matches!(self, Self::V128) { 2 } else { 1 }
    }

    pub(crate) const fn zero(self) -> &'static str {
        match self {
            Self::I32 | Self::I64 => "0",
            Self::F32 | Self::F64 => "0.0",
            Self::V128 => "zeroinitializer",
            Self::Function | Self::Extern => "null",
        }
    }
}

/// The type of a function.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Signature {
    pub(crate) params: Vec<Type>,
    pub(crate) results: Vec<Type>,
}

#[derive(Debug)]
pub(crate) struct Import<'a> {
    pub(crate) module: &'a str,
    pub(crate) name: &'a str,
    pub(crate) kind: Kind,
    pub(crate) index: u32,
}

#[derive(Debug)]
pub(crate) struct Export<'a> {
    pub(crate) name: &'a str,
    pub(crate) kind: Kind,
    pub(crate) index: u32,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Memory {
    pub(crate) pages_min: u64,
    pub(crate) pages_max: u64,
    pub(crate) page_bytes_log2: u32,
    pub(crate) index: Type,
    /// Whoever makes an instance lends it: it is of the very type that is declared here, with room for whatever an index and
    /// an offset of 32 bits reach.
    pub(crate) is_lent: bool,
}

#[derive(Debug)]
pub(crate) struct Table<'a> {
    pub(crate) len_min: u64,
    pub(crate) len_max: u64,
    pub(crate) index: Type,
    pub(crate) element: Type,
    pub(crate) initial: Option<ConstExpr<'a>>,
}

#[derive(Debug)]
pub(crate) struct Global<'a> {
    pub(crate) content: Type,
    pub(crate) mutable: bool,
    /// None if it is imported.
    pub(crate) initial: Option<ConstExpr<'a>>,
}

/// A segment of data or elements.
#[derive(Debug)]
pub(crate) struct Segment<'a, T> {
    pub(crate) items: T,
    /// Where it is written when the instance begins: memory or table, and offset.
    pub(crate) active: Option<(u32, ConstExpr<'a>)>,
    /// It can only be referred to, as if it were dropped at once.
    pub(crate) declared: bool,
}

/// A validated module.
#[derive(Debug, Default)]
pub(crate) struct Module<'a> {
    /// Each type once.
    pub(crate) signatures: Vec<Signature>,
    numbers: HashMap<Signature, usize>,
    /// Which signature a type of the module is.
    pub(crate) types: Vec<usize>,
    pub(crate) imports: Vec<Import<'a>>,
    pub(crate) exports: Vec<Export<'a>>,
    /// Which signature each function has, imported ones first.
    pub(crate) functions: Vec<usize>,
    pub(crate) functions_imported: usize,
    pub(crate) tables: Vec<Table<'a>>,
    pub(crate) tables_imported: usize,
    pub(crate) memories: Vec<Memory>,
    pub(crate) memories_imported: usize,
    pub(crate) globals: Vec<Global<'a>>,
    pub(crate) globals_imported: usize,
    pub(crate) data: Vec<Segment<'a, &'a [u8]>>,
    pub(crate) elements: Vec<Segment<'a, Vec<i32>>>,
    pub(crate) start: Option<u32>,
    pub(crate) bodies: Vec<FunctionBody<'a>>,
    /// The functions that have a record, and which record each of them has.
    pub(crate) recorded: Vec<u32>,
    records: HashMap<u32, usize>,
    /// What each table refers to, if that never changes.
    pub(crate) fixed_tables: Vec<Option<Functions>>,
}

impl<'a> Module<'a> {
    /// Reads a module that was found to be valid.
    pub(crate) fn read(wasm: &'a [u8]) -> Result<Self, Error> {
        let mut module = Self::default();
        for payload in Parser::new(0).parse_all(wasm) {
            module.section(payload.map_err(Error::Invalid)?).map_err(Error::Invalid)?;
        }
        let exported: Vec<u32> =
            module.exports.iter().filter(|x| x.kind == Kind::Function).map(|x| x.index).collect();
        exported.into_iter().for_each(|index| {
            module.record(index);
        });
        module.fixed_tables = module.fixed_tables().map_err(Error::Invalid)?;
        Ok(module)
    }

    /// Leaves memories, with the data that is written to them at first, and the start function to whoever makes an
    /// instance.
    pub(crate) fn borrow_memories(&mut self) {
        for index in self.memories_imported..self.memories.len() {
            self.imports.push(Import { module: "", name: "memory", kind: Kind::Memory, index: index as u32 });
        }
        self.memories_imported = self.memories.len();
        self.memories.iter_mut().for_each(|memory| memory.is_lent = true);
        for segment in &mut self.data {
            if segment.active.take().is_some() {
                // Nothing is left of it.
                segment.items = &[];
            }
        }
        if let Some(index) = self.start.take() {
            self.record(index);
            self.exports.push(Export { name: START, kind: Kind::Function, index });
        }
    }

    pub(crate) fn signature(&self, function: u32) -> &Signature {
        &self.signatures[self.functions[function as usize]]
    }

    pub(crate) const fn is_imported(&self, function: u32) -> bool {
        (function as usize) < self.functions_imported
    }

    /// Which of the instance's function records is that of a function.
    pub(crate) fn record_of(&self, function: u32) -> usize {
        self.records[&function]
    }

    pub(crate) fn counts(&self) -> Counts {
        Counts {
            types: self.signatures.len(),
            functions: self.recorded.len(),
            memories: self.memories.len(),
            memories_imported: self.memories_imported,
            tables: self.tables.len(),
            tables_imported: self.tables_imported,
            globals: self.globals.len(),
            data: self.data.len(),
            elements: self.elements.len(),
        }
    }

    fn section(&mut self, payload: Payload<'a>) -> wasmparser::Result<()> {
        match payload {
            Payload::TypeSection(types) => {
                for group in types {
                    for of in group?.into_types() {
                        if let CompositeInnerType::Func(of) = of.composite_type.inner {
                            let list = |types: &[ValType]| types.iter().copied().map(Type::new).collect();
                            let signature =
                                Signature { params: list(of.params()), results: list(of.results()) };
                            let next = self.signatures.len();
                            let number = *self.numbers.entry(signature.clone()).or_insert(next);
                            self.types.push(number);
                            if number == next {
                                self.signatures.push(signature);
                            }
                        }
                    }
                }
            }
            Payload::ImportSection(imports) => {
                for import in imports.into_imports() {
                    let import = import?;
                    let (kind, index) = self.import(import.ty);
                    self.imports.push(Import { module: import.module, name: import.name, kind, index });
                }
            }
            Payload::FunctionSection(functions) => {
                for function in functions {
                    self.functions.push(self.types[function? as usize]);
                }
            }
            Payload::TableSection(tables) => {
                for table in tables {
                    let table = table?;
                    let initial = match table.init {
                        wasmparser::TableInit::RefNull => None,
                        wasmparser::TableInit::Expr(initial) => Some(initial),
                    };
                    if let Some(initial) = &initial {
                        self.record_in(initial)?;
                    }
                    self.tables.push(Table { initial, ..Table::new(&table.ty) });
                }
            }
            Payload::MemorySection(memories) => {
                for memory in memories {
                    self.memories.push(Memory::new(&memory?));
                }
            }
            Payload::GlobalSection(globals) => {
                for global in globals {
                    let global = global?;
                    self.record_in(&global.init_expr)?;
                    self.globals.push(Global {
                        content: Type::new(global.ty.content_type),
                        mutable: global.ty.mutable,
                        initial: Some(global.init_expr),
                    });
                }
            }
            Payload::ExportSection(exports) => {
                for export in exports {
                    let export = export?;
                    let kind = match export.kind {
                        ExternalKind::Table => Kind::Table,
                        ExternalKind::Memory => Kind::Memory,
                        ExternalKind::Global => Kind::Global,
                        _ => Kind::Function,
                    };
                    self.exports.push(Export { name: export.name, kind, index: export.index });
                }
            }
            Payload::StartSection { func, .. } => self.start = Some(func),
            Payload::ElementSection(segments) => {
                for segment in segments {
                    self.element_segment(segment?)?;
                }
            }
            Payload::DataSection(segments) => {
                for segment in segments {
                    let segment = segment?;
                    let active = match segment.kind {
                        DataKind::Passive => None,
                        DataKind::Active { memory_index, offset_expr } => Some((memory_index, offset_expr)),
                    };
                    self.data.push(Segment { items: segment.data, active, declared: false });
                }
            }
            Payload::CodeSectionEntry(body) => self.bodies.push(body),
            _ => {}
        }
        Ok(())
    }

    fn import(&mut self, of: TypeRef) -> (Kind, u32) {
        match of {
            TypeRef::Table(of) => {
                self.tables_imported += 1;
                self.tables.push(Table::new(&of));
                (Kind::Table, self.tables.len() as u32 - 1)
            }
            TypeRef::Memory(of) => {
                self.memories_imported += 1;
                self.memories.push(Memory::new(&of));
                (Kind::Memory, self.memories.len() as u32 - 1)
            }
            TypeRef::Global(of) => {
                let content = Type::new(of.content_type);
                self.globals.push(Global { content, mutable: of.mutable, initial: None });
                self.globals_imported += 1;
                (Kind::Global, self.globals.len() as u32 - 1)
            }
            TypeRef::Func(index) | TypeRef::FuncExact(index) => {
                self.functions.push(self.types[index as usize]);
                let function = self.functions.len() as u32 - 1;
                self.functions_imported += 1;
                self.record(function);
                (Kind::Function, function)
            }
            TypeRef::Tag(_) => unreachable!("exceptions are refused"),
        }
    }

    fn element_segment(&mut self, segment: wasmparser::Element<'a>) -> wasmparser::Result<()> {
        let mut items = Vec::new();
        match segment.items {
            ElementItems::Functions(functions) => {
                for function in functions {
                    items.push(self.record(function?) as i32);
                }
            }
            ElementItems::Expressions(_, expressions) => {
                for expression in expressions {
                    let expression = expression?;
                    self.record_in(&expression)?;
                    items.push(match expression.get_operators_reader().read()? {
                        Operator::RefFunc { function_index } => self.record_of(function_index) as i32,
                        Operator::GlobalGet { global_index } => ELEMENT_NULL - 1 - global_index as i32,
                        _ => ELEMENT_NULL,
                    });
                }
            }
        }
        let (active, declared) = match segment.kind {
            ElementKind::Passive => (None, false),
            ElementKind::Declared => (None, true),
            ElementKind::Active { table_index, offset_expr } => {
                (Some((table_index.unwrap_or(0), offset_expr)), false)
            }
        };
        self.elements.push(Segment { items, active, declared });
        Ok(())
    }

    /// Gives a function a record, if it has none.
    fn record(&mut self, function: u32) -> usize {
        let next = self.recorded.len();
        let record = *self.records.entry(function).or_insert(next);
        if record == next {
            self.recorded.push(function);
        }
        record
    }

    fn record_in(&mut self, expression: &ConstExpr<'a>) -> wasmparser::Result<()> {
        for operator in expression.get_operators_reader() {
            if let Operator::RefFunc { function_index } = operator? {
                self.record(function_index);
            }
        }
        Ok(())
    }
}

impl Memory {
    fn new(of: &wasmparser::MemoryType) -> Self {
        Self {
            pages_min: of.initial,
            pages_max: of.maximum.unwrap_or(NO_MAX as u64),
            page_bytes_log2: of.page_size_log2.unwrap_or(16),
            index: if of.memory64 { Type::I64 } else { Type::I32 },
            is_lent: false,
        }
    }
}

impl Table<'_> {
    fn new(of: &wasmparser::TableType) -> Self {
        Self {
            len_min: of.initial,
            len_max: of.maximum.unwrap_or(NO_MAX as u64),
            index: if of.table64 { Type::I64 } else { Type::I32 },
            element: Type::reference(of.element_type),
            initial: None,
        }
    }
}
