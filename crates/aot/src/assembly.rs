//! Modules put together to one text of LLVM IR.

use crate::emit::{self, thunk};
use crate::limits::TEXT_BYTES_MAX;
use crate::module::Module;
use crate::parts::{self, Piece};
use crate::{Error, Target, descriptor, features, function_names};
use rt::abi::FRAME_BYTES_MAX;
use rt::{Layout, Policy};

/// How exactly memory is left when a fault ends native code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Precision {
    /// As the specification says: with all that was written before, and nothing else.
    Precise,
    /// Some of what was written before may be missing. No less safe, and quicker.
    Relaxed,
}

/// What the text of the code depends on.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Whom the code is for.
    pub target: Target,
    /// What keeps accesses inside a memory.
    pub policy: Policy,
    /// Matters only to memories that are guarded by pages: nothing else faults.
    pub precision: Precision,
    /// What is linked with other objects has a number that makes its names its own, or else 0.
    pub unique: u64,
}

impl Options {
    /// Where the code of WebAssembly functions lies.
    pub(crate) fn section(&self) -> String {
        section(self.unique)
    }
}

fn section(unique: u64) -> String {
    if unique == 0 { "sampan_text".to_owned() } else { format!("sampan_text_{unique:016x}") }
}

/// What the start function of a [guest](Assembly::add_guest) is exported as.
pub const START: &str = "sampan:start";

/// Attributes of all functions: what has no bound on its time must not become a call of the C library, where nothing
/// could stop it and a fault would not be native code's; and recursion without end must fill the stack, not loop.
fn attributes(target: &Target, unique: u64) -> String {
    let tables = tables(target, unique);
    let stack = match target.has_pages {
        true => "\"probe-stack\"=\"inline-asm\"".to_owned(),
        // Nothing guards the end of the stack: a frame must fit in what is kept free below its limit.
        false => format!("\"warn-stack-size\"=\"{FRAME_BYTES_MAX}\""),
    };
    format!("attributes #0 = {{ nounwind {tables}{stack} \"no-builtins\" \"disable-tail-calls\"=\"true\" }}")
}

/// The attribute for what is loaded here: tables beside the code, by which the callers of what traps are found at any
/// instruction. They cost no time.
fn tables(target: &Target, unique: u64) -> &'static str {
    if target.has_pages && unique == 0 { "uwtable " } else { "" }
}

/// What does not alias what, as `emit::alias` refers to it; where the stack is; that traps are rare.
const METADATA: &str = "\
!0 = !{}
!1 = distinct !{!1, !\"sampan\"}
!2 = distinct !{!2, !1, !\"memory\"}
!3 = distinct !{!3, !1, !\"globals\"}
!4 = distinct !{!4, !1, !\"tables\"}
!5 = distinct !{!5, !1, !\"lengths\"}
!6 = !{!2}
!7 = !{!3}
!8 = !{!4}
!9 = !{!5}
!10 = !{!3, !4, !5}
!11 = !{!2, !4, !5}
!12 = !{!2, !3, !5}
!13 = !{!2, !3, !4}
!15 = !{!\"branch_weights\", i32 1, i32 1000000}
";

/// Modules that become one object.
#[derive(Debug)]
pub struct Assembly {
    target: Target,
    unique: u64,
    /// What each part begins with.
    head: String,
    pieces: Vec<Piece>,
    bytes: usize,
    /// The most bytes of functions that are not divided.
    part_bytes_max: usize,
}

impl Assembly {
    /// An empty one.
    pub fn new(target: Target) -> Self {
        Self::unique(target, 0)
    }

    /// An empty one whose object can be linked with others: their numbers differ.
    pub(crate) fn unique(target: Target, unique: u64) -> Self {
        let section = section(unique);
        let mut head = format!("target triple = \"{}\"\n\n", target.llvm);
        head.push_str(&format!("@__start_{section} = external hidden constant i8\n"));
        head.push_str(&format!("@__stop_{section} = external hidden constant i8\n\n"));
        head.push_str(&emit::trap_function(&section, tables(&target, unique)));
        Self { target, unique, head, pieces: Vec::new(), bytes: 0, part_bytes_max: usize::MAX }
    }

    /// The same, in parts that are compiled each for itself, at the same time, if the text of its functions is longer than
    /// this: then no part is. Longer ones take clang more than their share of time and memory.
    #[must_use]
    pub fn in_parts(self, part_bytes_max: usize) -> Self {
        Self { part_bytes_max, ..self }
    }

    /// Adds a module. `name` must be new, and of letters, digits and `_`; the object describes the module at the
    /// symbol `sampan_module_NAME`.
    pub fn add(
        &mut self,
        name: &str,
        wasm: &[u8],
        policy: Policy,
        precision: Precision,
    ) -> Result<(), Error> {
        self.write(name, &Self::read(wasm, &self.target)?, policy, precision)
    }

    /// Adds a module that whoever makes an instance lends memories to: it imports all of them, in order, after its own
    /// imports. Each is of the type that the module declares, and has room set aside for whatever an index and an offset of
    /// 32 bits can reach. Active data segments are for the lender to write, and the start function, which is exported after the
    /// module's own exports as [`START`], is for the lender to call. The names of its functions lie at the symbol
    /// `sampan_names_NAME`: of each its number and how many bytes follow, as words of 32 bits, and these bytes; at last a number
    /// of which all bits are set.
    pub fn add_guest(
        &mut self,
        name: &str,
        wasm: &[u8],
        policy: Policy,
        precision: Precision,
    ) -> Result<(), Error> {
        let mut module = Self::read(wasm, &self.target)?;
        module.borrow_memories();
        self.push(Piece::Other(function_names::constant(name, wasm)));
        self.write(name, &module, policy, precision)
    }

    /// Validates and reads a module.
    pub(crate) fn read<'a>(wasm: &'a [u8], target: &Target) -> Result<Module<'a>, Error> {
        if wasmparser::Parser::is_component(wasm) {
            return Err(Error::Component);
        }
        features::validate(wasm, target)?;
        Module::read(wasm)
    }

    pub(crate) fn write(
        &mut self,
        name: &str,
        module: &Module<'_>,
        policy: Policy,
        precision: Precision,
    ) -> Result<(), Error> {
        let options = Options { target: self.target, policy, precision, unique: self.unique };
        let layout = Layout::new(self.target.pointer_bytes, module.counts());
        descriptor::segments(module, name).into_iter().for_each(|text| self.push(Piece::Segment(text)));
        for (body, index) in module.bodies.iter().zip(module.functions_imported as u32..) {
            let function = emit::function::function(module, &options, &layout, name, index, body);
            self.push(Piece::Function(function?));
            if self.bytes > TEXT_BYTES_MAX {
                return Err(Error::TooLarge);
            }
        }
        for signature in thunk::entered_by(module) {
            self.push(Piece::Other(thunk::enter(module, &options, &layout, name, signature)));
        }
        for signature in thunk::left_by(module) {
            self.push(Piece::Other(thunk::leave(module, &options, &layout, name, signature)));
        }
        let initialize = thunk::initialize(module, &options, &layout, name);
        self.push(Piece::Other(initialize.map_err(Error::Invalid)?));
        self.push(Piece::Other(descriptor::descriptor(module, &options, name)));
        Ok(())
    }

    fn push(&mut self, piece: Piece) {
        self.bytes += piece.text().len();
        self.pieces.push(piece);
    }

    /// The text of LLVM IR, for [`Clang`](crate::Clang).
    pub fn finish(self) -> String {
        let stack_pointer = self.target.stack_pointer;
        let attributes = attributes(&self.target, self.unique);
        let tail = format!("{attributes}\n\n{METADATA}!14 = !{{!\"{stack_pointer}\"}}\n");
        let functions = self.pieces.iter().filter(|piece| matches!(piece, Piece::Function(_)));
        if functions.map(|piece| piece.text().len()).sum::<usize>() > self.part_bytes_max {
            return parts::divide(&self.pieces, self.part_bytes_max, &self.head, &tail);
        }
        let pieces = self.pieces.iter().map(Piece::text);
        [&*self.head].into_iter().chain(pieces).chain([&*tail]).collect()
    }
}
