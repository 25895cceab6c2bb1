//! One function of WebAssembly becomes one of LLVM.
//!
//! The operand stack exists only here; locals and the results of blocks are stack slots, which LLVM turns into
//! registers. What never changes in an instance is loaded once, where the function begins.

mod bulk;
pub(crate) mod call;
mod control;
mod float;
pub(crate) mod function;
mod guess;
mod integer;
mod lanes;
mod linear;
mod loops;
mod memory;
mod reached;
mod simd;
mod table;
pub(crate) mod thunk;
mod values;

use std::collections::{BTreeSet, HashMap};
use std::fmt::{self, Write};

use crate::assembly::Options;
use crate::limits::FUNCTION_TEXT_BYTES_MAX;
use crate::module::{Memory, Module, Type};
use control::Frame;
use linear::Turn;
use loops::Loop;
use reached::{Known, Sets};
use rt::abi::Builtin;
use rt::{Layout, Trap};

pub(crate) use values::Value;

/// What may not alias what: each is the metadata at the end of a load or store. See `assembly::METADATA`.
pub(crate) mod alias {
    pub(crate) const MEMORY: &str = ", !alias.scope !6, !noalias !10";
    pub(crate) const GLOBALS: &str = ", !alias.scope !7, !noalias !11";
    pub(crate) const TABLES: &str = ", !alias.scope !8, !noalias !12";
    pub(crate) const LENGTHS: &str = ", !alias.scope !9, !noalias !13";
    pub(crate) const INVARIANT: &str = ", !invariant.load !0";
}

/// Frames of functions with fewer locals than this are small, so that a leaf need not look at the stack.
const LEAF_LOCALS_MAX: usize = 64;

/// A function while it is written.
pub(crate) struct Emitter<'m, 'a> {
    pub(crate) module: &'m Module<'a>,
    pub(crate) options: &'m Options,
    layout: &'m Layout,
    /// The name of the module, which begins the names of all that is its.
    name: &'m str,
    /// Slots, what is loaded once, and the rest, in the order in which they stand.
    allocas: String,
    entry: String,
    body: String,
    next: u32,
    stack: Vec<Value>,
    frames: Vec<Frame>,
    /// Code that cannot be reached is not written; so many blocks were begun in it.
    reachable: bool,
    skipped: u32,
    locals: Vec<Type>,
    once: HashMap<usize, Value>,
    traps: BTreeSet<u32>,
    is_leaf: bool,
    /// What was promoted last.
    promoted: Option<Value>,
    /// Where in the module the operator stands that is being written, in a loop that may be copied.
    position: usize,
    turn: Option<Turn>,
    copied: Option<Loop>,
    known: Known,
    sets: Sets,
}

impl<'m, 'a> Emitter<'m, 'a> {
    pub(crate) fn new(
        module: &'m Module<'a>,
        options: &'m Options,
        layout: &'m Layout,
        name: &'m str,
    ) -> Self {
        Self {
            module,
            options,
            layout,
            name,
            allocas: String::new(),
            entry: String::new(),
            body: String::new(),
            next: 0,
            stack: Vec::new(),
            frames: Vec::new(),
            reachable: true,
            skipped: 0,
            locals: Vec::new(),
            once: HashMap::new(),
            traps: BTreeSet::new(),
            is_leaf: true,
            promoted: None,
            position: 0,
            turn: None,
            copied: None,
            known: Known::default(),
            sets: Sets::default(),
        }
    }

    fn number(&mut self) -> u32 {
        self.next += 1;
        self.next
    }

    fn line(&mut self, text: fmt::Arguments<'_>) {
        if self.is_too_large() {
            return;
        }
        writeln!(self.body, "  {text}").expect("a string takes all");
    }

    /// No more is written then: the text is of no use.
    fn is_too_large(&self) -> bool {
        self.body.len() + self.allocas.len() > FUNCTION_TEXT_BYTES_MAX
    }

    fn label(&mut self, label: u32) {
        writeln!(self.body, "b{label}:").expect("a string takes all");
    }

    /// Writes an instruction that has a value.
    pub(crate) fn value(&mut self, ty: Type, text: fmt::Arguments<'_>) -> Value {
        let value = Value::new(ty, &format!("%t{}", self.number()));
        self.line(format_args!("{value} = {text}"));
        value
    }

    /// A value that is no value of WebAssembly, because it is an address.
    pub(crate) fn pointer(&mut self, text: fmt::Arguments<'_>) -> Value {
        self.value(Type::Extern, text)
    }

    /// A value that is no value of WebAssembly, because it has one bit, or several.
    pub(crate) fn bit(&mut self, text: fmt::Arguments<'_>) -> Value {
        self.value(Type::I32, text)
    }

    fn push(&mut self, value: Value) {
        self.stack.push(value);
    }

    fn pop(&mut self) -> Value {
        self.stack.pop().expect("the module was validated")
    }

    fn pop_many(&mut self, count: usize) -> Vec<Value> {
        self.stack.split_off(self.stack.len() - count)
    }

    /// A slot of the frame.
    fn alloca(&mut self, ir: &str) -> Value {
        let slot = Value::new(Type::Extern, &format!("%s{}", self.number()));
        writeln!(self.allocas, "  {slot} = alloca {ir}, align 16").expect("a string takes all");
        slot
    }

    pub(crate) fn trap_if(&mut self, condition: &Value, trap: Trap) {
        let (next, code) = (self.number(), trap as u32);
        self.traps.insert(code);
        self.line(format_args!("br i1 {condition}, label %trap{code}, label %b{next}, !prof !15"));
        self.label(next);
    }

    /// Traps. What follows is never reached.
    pub(crate) fn trap(&mut self, trap: Trap) {
        self.traps.insert(trap as u32);
        self.line(format_args!("br label %trap{}", trap as u32));
        let next = self.number();
        self.label(next);
    }

    /// Traps if a built-in gave the code of a trap.
    fn trap_if_code(&mut self, code: &Value) {
        let (bad, next) = (self.number(), self.number());
        let failed = self.bit(format_args!("icmp ne i32 {code}, 0"));
        self.line(format_args!("br i1 {failed}, label %b{bad}, label %b{next}, !prof !15"));
        self.label(bad);
        self.line(format_args!("call void @sampan.trap(ptr %instance, i32 {code})"));
        self.line(format_args!("unreachable"));
        self.label(next);
    }

    /// The address of what lies at an offset of the instance.
    fn field(&mut self, offset: usize) -> Value {
        self.pointer(format_args!("getelementptr inbounds i8, ptr %instance, i64 {offset}"))
    }

    /// What lies at an offset of the instance and never changes: loaded once.
    fn once(&mut self, ty: Type, ir: &str, offset: usize) -> Value {
        if let Some(value) = self.once.get(&offset) {
            return value.clone();
        }
        let (at, value) = (self.number(), Value::new(ty, &format!("%o{}", self.number())));
        let invariant = alias::INVARIANT;
        writeln!(self.entry, "  %o{at} = getelementptr inbounds i8, ptr %instance, i64 {offset}")
            .and_then(|()| writeln!(self.entry, "  {value} = load {ir}, ptr %o{at}{invariant}"))
            .expect("a string takes all");
        self.once.insert(offset, value.clone());
        value
    }

    fn words(&self, words: usize) -> usize {
        words * self.options.target.pointer_bytes
    }

    /// A word as a number of 64 bits.
    fn widened(&mut self, word: &str) -> Value {
        match self.options.target.pointer_bytes {
            8 => Value::new(Type::I64, word),
            _ => self.value(Type::I64, format_args!("zext i32 {word} to i64")),
        }
    }

    pub(crate) fn memory_of(&self, memory: u32) -> &'m Memory {
        &self.module.memories[memory as usize]
    }

    pub(crate) const fn is_memory_imported(&self, memory: u32) -> bool {
        (memory as usize) < self.module.memories_imported
    }

    pub(crate) fn memory_base(&mut self, memory: u32) -> Value {
        let offset = self.layout.memory(memory as usize);
        self.once(Type::Extern, "ptr", offset)
    }

    /// How long a memory is, in 64 bits.
    pub(crate) fn memory_bytes(&mut self, memory: u32) -> Value {
        let at = self.memory_record(memory, 1);
        let (word, lengths) = (self.options.target.word(), alias::LENGTHS);
        let bytes = self.value(Type::I64, format_args!("load {word}, ptr {at}{lengths}"));
        self.widened(bytes.text())
    }

    /// What the addresses of a memory that another instance made are masked with.
    pub(crate) fn memory_mask(&mut self, memory: u32) -> Value {
        let at = self.memory_record(memory, 2);
        let (word, invariant) = (self.options.target.word(), alias::INVARIANT);
        let mask = self.value(Type::I64, format_args!("load {word}, ptr {at}{invariant}"));
        self.widened(mask.text())
    }

    /// The address of a word of a memory's record.
    fn memory_record(&mut self, memory: u32, word: usize) -> Value {
        if !self.is_memory_imported(memory) {
            return self.field(self.layout.memory_record(memory as usize) + self.words(word));
        }
        let offset = self.layout.memory(memory as usize) + self.words(1);
        let record = self.once(Type::Extern, "ptr", offset);
        let offset = self.words(word);
        self.pointer(format_args!("getelementptr inbounds i8, ptr {record}, i64 {offset}"))
    }

    /// Calls a built-in whose first argument is the instance.
    fn builtin(&mut self, ty: Type, builtin: Builtin, args: &str) -> Value {
        self.is_leaf = false;
        let builtins = self.once(Type::Extern, "ptr", 0);
        let offset = self.words(builtin as usize);
        let at = self.pointer(format_args!("getelementptr inbounds i8, ptr {builtins}, i64 {offset}"));
        let code = self.pointer(format_args!("load ptr, ptr {at}{}", alias::INVARIANT));
        // C fills the rest of a register as each target wants it, if it is told that there is a sign.
        let args = args.replace("i32 ", "i32 signext ");
        self.value(ty, format_args!("call {} {code}(ptr %instance, {args})", ty.ir()))
    }

    /// The function of LLVM, with what must stand before its code.
    fn finish(self, header: &str) -> String {
        let (word, sp) = (self.options.target.word(), Trap::StackOverflow as u32);
        let mut text = format!("{header} {{\n{}", self.allocas);
        let mut traps = self.traps;
        if !self.is_leaf || self.locals.len() > LEAF_LOCALS_MAX {
            traps.insert(sp);
            let store = self.options.target.pointer_bytes;
            writeln!(
                text,
                "  %store.at = getelementptr inbounds i8, ptr %instance, i64 {store}\n  \
                 %store = load ptr, ptr %store.at{}\n  \
                 %limit = load {word}, ptr %store{}\n  \
                 %sp = call {word} @llvm.read_register.{word}(metadata !14)\n  \
                 %full = icmp ult {word} %sp, %limit\n  \
                 br i1 %full, label %trap{sp}, label %enough, !prof !15\nenough:",
                alias::INVARIANT,
                alias::LENGTHS
            )
            .expect("a string takes all");
        }
        text.push_str(&self.entry);
        text.push_str(&self.body);
        for trap in traps {
            writeln!(text, "trap{trap}:\n  call void @sampan.trap(ptr %instance, i32 {trap})\n  unreachable")
                .expect("a string takes all");
        }
        text.push_str("}\n\n");
        text
    }
}

/// What traps call, once for all functions of an assembly. It is kept, so that there always is a section of code.
pub(crate) fn trap_function(section: &str, attributes: &str) -> String {
    let invariant = alias::INVARIANT;
    format!(
        "define internal void @sampan.trap(ptr %instance, i32 %code) noinline noreturn nounwind cold {attributes}\
         section \"{section}\" {{\n  \
         %builtins = load ptr, ptr %instance{invariant}\n  \
         %trap = load ptr, ptr %builtins{invariant}\n  \
         call void %trap(ptr %instance, i32 signext %code) noreturn\n  unreachable\n}}\n\n\
         @llvm.used = appending global [1 x ptr] [ptr @sampan.trap], section \"llvm.metadata\"\n\n"
    )
}
