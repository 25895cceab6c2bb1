//! Linear memory: loads, stores, and what is done to many bytes at once.

use super::{Emitter, Value, alias};
use crate::bounds::{self, Access};
use crate::module::Type;
use rt::abi::Builtin;
use wasmparser::{MemArg, Operator};

impl Emitter<'_, '_> {
    pub(super) fn access(&mut self, operator: &Operator<'_>) -> bool {
        use Operator as O;
        match *operator {
            O::I32Load { memarg } => self.load(&memarg, Type::I32, "i32", ""),
            O::I64Load { memarg } => self.load(&memarg, Type::I64, "i64", ""),
            O::F32Load { memarg } => self.load(&memarg, Type::F32, "float", ""),
            O::F64Load { memarg } => self.load(&memarg, Type::F64, "double", ""),
            O::V128Load { memarg } => self.load(&memarg, Type::V128, "<2 x i64>", ""),
            O::I32Load8S { memarg } => self.load(&memarg, Type::I32, "i8", "sext"),
            O::I32Load8U { memarg } => self.load(&memarg, Type::I32, "i8", "zext"),
            O::I32Load16S { memarg } => self.load(&memarg, Type::I32, "i16", "sext"),
            O::I32Load16U { memarg } => self.load(&memarg, Type::I32, "i16", "zext"),
            O::I64Load8S { memarg } => self.load(&memarg, Type::I64, "i8", "sext"),
            O::I64Load8U { memarg } => self.load(&memarg, Type::I64, "i8", "zext"),
            O::I64Load16S { memarg } => self.load(&memarg, Type::I64, "i16", "sext"),
            O::I64Load16U { memarg } => self.load(&memarg, Type::I64, "i16", "zext"),
            O::I64Load32S { memarg } => self.load(&memarg, Type::I64, "i32", "sext"),
            O::I64Load32U { memarg } => self.load(&memarg, Type::I64, "i32", "zext"),
            O::I32Store { memarg }
            | O::I64Store { memarg }
            | O::F32Store { memarg }
            | O::F64Store { memarg }
            | O::V128Store { memarg } => self.store(&memarg, None),
            O::I32Store8 { memarg } | O::I64Store8 { memarg } => self.store(&memarg, Some("i8")),
            O::I32Store16 { memarg } | O::I64Store16 { memarg } => self.store(&memarg, Some("i16")),
            O::I64Store32 { memarg } => self.store(&memarg, Some("i32")),
            O::MemorySize { mem } => {
                let bytes = self.memory_bytes(mem);
                let of = self.memory_of(mem);
                let pages = self.value(Type::I64, format_args!("lshr i64 {bytes}, {}", of.page_bytes_log2));
                self.push_index(of.index, &pages);
            }
            O::MemoryGrow { mem } => {
                let pages = self.pop_wide();
                let before = self.builtin(Type::I64, Builtin::MemoryGrow, &format!("i32 {mem}, i64 {pages}"));
                self.push_index(self.memory_of(mem).index, &before);
            }
            O::MemoryFill { mem } => self.fill(mem),
            O::MemoryCopy { dst_mem, src_mem } => self.copy(dst_mem, src_mem),
            O::MemoryInit { data_index, mem } => {
                let (count, from, to) = (self.pop(), self.pop(), self.pop());
                self.memory_init(mem, data_index, &to, &from, &count);
            }
            O::DataDrop { data_index } => self.drop_segment(self.layout.data_length(data_index as usize)),
            _ => return false,
        }
        true
    }

    pub(super) fn memory_init(&mut self, memory: u32, segment: u32, to: &Value, from: &Value, count: &Value) {
        let to = self.widen(to);
        let length = self.segment_length(self.layout.data_length(segment as usize));
        let data = format!("@{}.data{segment}", self.name);
        let args = format!("i32 {memory}, ptr {data}, i32 {length}, i64 {to}, i32 {from}, i32 {count}");
        let code = self.builtin(Type::I32, Builtin::MemoryInit, &args);
        self.trap_if_code(&code);
    }

    /// How much of a segment is left: all or nothing.
    pub(super) fn segment_length(&mut self, offset: usize) -> Value {
        let at = self.field(offset);
        self.value(Type::I32, format_args!("load i32, ptr {at}{}", alias::LENGTHS))
    }

    pub(super) fn drop_segment(&mut self, offset: usize) {
        let at = self.field(offset);
        self.line(format_args!("store i32 0, ptr {at}{}", alias::LENGTHS));
    }

    /// The address of an access of `bytes`, whose index is the next operand, and whether it may fault.
    fn place(&mut self, memarg: &MemArg, bytes: u64) -> (Value, bool) {
        let index = self.pop();
        let access = Access { memory: memarg.memory, index: &index, offset: memarg.offset, bytes };
        match self.fixed_place(&access).or_else(|| self.known_place(&access)) {
            Some(at) => (at, false),
            None => (bounds::address(self, &access), bounds::is_volatile(self, memarg.memory)),
        }
    }

    /// The address of an access whose index is a constant within what the memory has from the start.
    fn fixed_place(&mut self, access: &Access<'_>) -> Option<Value> {
        let index = access.index.constant()?;
        let at = index.checked_add(access.offset)?;
        let of = self.memory_of(access.memory);
        let bytes_min = of.pages_min.checked_mul(1 << of.page_bytes_log2)?;
        (at.checked_add(access.bytes)? <= bytes_min).then(|| {
            let base = self.memory_base(access.memory);
            self.pointer(format_args!("getelementptr inbounds i8, ptr {base}, i64 {at}"))
        })
    }

    /// Loads `ir` from memory, and makes `ty` of it with `extend` unless that is empty.
    fn load(&mut self, memarg: &MemArg, ty: Type, ir: &str, extend: &str) {
        let value = self.load_raw(memarg, ty, ir);
        let value = match extend {
            "" => value,
            extend => self.value(ty, format_args!("{extend} {ir} {value} to {}", ty.ir())),
        };
        self.push(value);
    }

    /// Loads `ir` from memory.
    pub(super) fn load_raw(&mut self, memarg: &MemArg, ty: Type, ir: &str) -> Value {
        let (at, faults) = self.place(memarg, ir_bytes(ir));
        let volatile = if faults { "volatile " } else { "" };
        self.value(ty, format_args!("load {volatile}{ir}, ptr {at}, align 1{}", alias::MEMORY))
    }

    fn store(&mut self, memarg: &MemArg, narrow: Option<&str>) {
        let value = self.pop();
        let value = match narrow {
            None => value.typed(),
            Some(ir) => {
                let value = self.bit(format_args!("trunc {} to {ir}", value.typed()));
                format!("{ir} {value}")
            }
        };
        let ir = value.rsplit_once(' ').map_or("", |(ir, _)| ir).to_owned();
        self.store_raw(memarg, &ir, &value);
    }

    /// Stores a value, which is written with its type.
    pub(super) fn store_raw(&mut self, memarg: &MemArg, ir: &str, value: &str) {
        let (at, faults) = self.place(memarg, ir_bytes(ir));
        // What cannot fault still keeps its place among what can.
        let stays = faults || (bounds::is_volatile(self, memarg.memory) && !self.is_quiet());
        let volatile = if stays { "volatile " } else { "" };
        self.line(format_args!("store {volatile}{value}, ptr {at}, align 1{}", alias::MEMORY));
    }

    /// The next operand, an index of either width, in 64 bits.
    pub(super) fn pop_wide(&mut self) -> Value {
        let index = self.pop();
        self.widen(&index)
    }

    pub(super) fn widen(&mut self, index: &Value) -> Value {
        match index.ty {
            Type::I64 => index.clone(),
            _ => self.value(Type::I64, format_args!("zext i32 {index} to i64")),
        }
    }

    /// Pushes a number of 64 bits as an index of the width that a memory or table has.
    pub(super) fn push_index(&mut self, index: Type, wide: &Value) {
        let value = match index {
            Type::I64 => wide.clone(),
            _ => self.value(Type::I32, format_args!("trunc i64 {wide} to i32")),
        };
        self.push(value);
    }
}

/// The bytes that a type of LLVM takes in memory.
fn ir_bytes(ir: &str) -> u64 {
    match ir {
        "i8" => 1,
        "i16" => 2,
        "i32" | "float" => 4,
        "i64" | "double" => 8,
        _ => 16,
    }
}
