//! Many bytes at once. A few are moved on the spot; many by the runtime, which can be stopped on the way.

use super::{Emitter, Value, alias};
use crate::bounds;
use crate::limits::ON_THE_SPOT_BYTES_MAX;
use crate::module::Type;
use rt::abi::Builtin;

/// A memory, and an index in 64 bits.
type Place<'a> = (u32, &'a Value);

impl Emitter<'_, '_> {
    pub(super) fn fill(&mut self, memory: u32) {
        let (count, byte, to) = (self.pop_wide(), self.pop(), self.pop_wide());
        let done = self.on_the_spot(&count, &[(memory, &to)], |emitter, at, volatile| {
            let byte = emitter.bit(format_args!("trunc i32 {byte} to i8"));
            let args = format!("ptr {}, i8 {byte}, i64 {count}, i1 {volatile}", at[0]);
            emitter.line(format_args!("call void @llvm.memset.p0.i64({args}){}", alias::MEMORY));
        });
        let args = format!("i32 {memory}, i64 {to}, i32 {byte}, i64 {count}");
        self.by_the_runtime(Builtin::MemoryFill, &args, done);
    }

    pub(super) fn copy(&mut self, target: u32, source: u32) {
        let (count, from, to) = (self.pop_wide(), self.pop_wide(), self.pop_wide());
        let done = self.on_the_spot(&count, &[(target, &to), (source, &from)], |emitter, at, volatile| {
            let args = format!("ptr {}, ptr {}, i64 {count}, i1 {volatile}", at[0], at[1]);
            emitter.line(format_args!("call void @llvm.memmove.p0.p0.i64({args}){}", alias::MEMORY));
        });
        let args = format!("i32 {target}, i32 {source}, i64 {to}, i64 {from}, i64 {count}");
        self.by_the_runtime(Builtin::MemoryCopy, &args, done);
    }

    /// Has `work` done if there are few bytes and the memories have them. What is written next is for all else; it ends at the
    /// label that is given back. Nothing is written where there may be no C library, or indices may wrap.
    fn on_the_spot(
        &mut self,
        count: &Value,
        places: &[Place<'_>],
        work: impl FnOnce(&mut Self, &[Value], bool),
    ) -> Option<u32> {
        let is_narrow = |(memory, _): &Place<'_>| self.memory_of(*memory).index == Type::I32;
        if !self.options.target.has_pages || !places.iter().all(is_narrow) {
            return None;
        }
        let (few, many, done) = (self.number(), self.number(), self.number());
        let mut fits = self.bit(format_args!("icmp ule i64 {count}, {ON_THE_SPOT_BYTES_MAX}"));
        for (memory, at) in places {
            let bytes = self.memory_bytes(*memory);
            let end = self.value(Type::I64, format_args!("add nuw i64 {at}, {count}"));
            let is_inside = self.bit(format_args!("icmp ule i64 {end}, {bytes}"));
            fits = self.bit(format_args!("and i1 {fits}, {is_inside}"));
        }
        self.line(format_args!("br i1 {fits}, label %b{few}, label %b{many}"));
        self.label(few);
        let address = |emitter: &mut Self, (memory, at): &Place<'_>| {
            let at = bounds::inside(emitter, *memory, at);
            let base = emitter.memory_base(*memory);
            emitter.pointer(format_args!("getelementptr inbounds i8, ptr {base}, i64 {at}"))
        };
        let at: Vec<Value> = places.iter().map(|place| address(self, place)).collect();
        // It cannot fault, but keeps its place among what can.
        let volatile = places.iter().any(|(memory, _)| bounds::is_volatile(self, *memory));
        work(self, &at, volatile);
        self.line(format_args!("br label %b{done}"));
        self.label(many);
        Some(done)
    }

    fn by_the_runtime(&mut self, builtin: Builtin, args: &str, done: Option<u32>) {
        let code = self.builtin(Type::I32, builtin, args);
        self.trap_if_code(&code);
        if let Some(done) = done {
            self.line(format_args!("br label %b{done}"));
            self.label(done);
        }
    }
}
