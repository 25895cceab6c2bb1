//! From a body to a function, and all that is no number: locals, globals, constants.

use super::{Emitter, Value, alias, call, loops};
use crate::assembly::Options;
use crate::module::{Module, Signature, Type};
use crate::{Error, bounds};
use rt::Layout;
use wasmparser::{ConstExpr, FunctionBody, Operator};

/// Writes one function of the module.
pub(crate) fn function(
    module: &Module<'_>,
    options: &Options,
    layout: &Layout,
    name: &str,
    index: u32,
    body: &FunctionBody<'_>,
) -> Result<String, Error> {
    let mut emitter = Emitter::new(module, options, layout, name);
    let signature = module.signature(index);
    for (number, param) in signature.params.iter().enumerate() {
        emitter.local(*param, &format!("%p{number}"));
    }
    for locals in body.get_locals_reader().map_err(Error::Invalid)? {
        let (count, ty) = locals.map_err(Error::Invalid)?;
        for _ in 0..count {
            let ty = Type::new(ty);
            emitter.local(ty, ty.zero());
        }
    }
    emitter.begin_body(signature.results.clone());
    let mut reader = body.get_operators_reader().map_err(Error::Invalid)?;
    while !reader.eof() {
        match reader.read().map_err(Error::Invalid)? {
            Operator::Loop { blockty } if emitter.reachable && loops::may_be_copied(reader.clone())? => {
                emitter.loop_twice(blockty, &mut reader)?;
            }
            operator => emitter.operator(&operator),
        }
        if emitter.is_too_large() {
            return Err(Error::TooLarge);
        }
    }
    let header = call::header(module, options, name, index);
    Ok(emitter.finish(&header))
}

impl Emitter<'_, '_> {
    fn local(&mut self, ty: Type, initial: &str) {
        let slot = format!("%l{}", self.locals.len());
        let ir = ty.ir();
        self.allocas.push_str(&format!("  {slot} = alloca {ir}\n"));
        self.line(format_args!("store {ir} {initial}, ptr {slot}"));
        self.locals.push(ty);
    }

    /// Writes what one operator does.
    pub(super) fn operator(&mut self, operator: &Operator<'_>) {
        if !self.reachable {
            self.skip(operator);
            return;
        }
        let known = self.control(operator)
            || self.variable(operator)
            || self.access(operator)
            || self.integer(operator)
            || self.float(operator)
            || self.call(operator)
            || self.table(operator)
            || self.simd(operator);
        assert!(known, "{operator:?} passed validation with features that are not known");
    }

    fn variable(&mut self, operator: &Operator<'_>) -> bool {
        match *operator {
            Operator::Nop => {}
            Operator::Drop => {
                self.pop();
            }
            Operator::Select | Operator::TypedSelect { .. } => {
                let (condition, no, yes) = (self.condition(), self.pop(), self.pop());
                let (ty, yes, no) = (yes.ty, yes.typed(), no.typed());
                let value = self.value(ty, format_args!("select i1 {condition}, {yes}, {no}"));
                self.push(value);
            }
            Operator::LocalGet { local_index } => {
                let ty = self.locals[local_index as usize];
                let value = self.held(local_index).unwrap_or_else(|| {
                    let value = self.value(ty, format_args!("load {}, ptr %l{local_index}", ty.ir()));
                    self.note_held(local_index, &value, false);
                    value
                });
                self.note_local_read(local_index, &value);
                self.push(value);
            }
            Operator::LocalSet { local_index } => {
                let value = self.pop();
                self.note_local_set(local_index, &value);
                self.note_held(local_index, &value, true);
                self.line(format_args!("store {}, ptr %l{local_index}", value.typed()));
            }
            Operator::LocalTee { local_index } => {
                let value = self.stack.last().expect("the module was validated").clone();
                self.note_local_set(local_index, &value);
                self.note_held(local_index, &value, true);
                self.line(format_args!("store {}, ptr %l{local_index}", value.typed()));
            }
            Operator::GlobalGet { global_index } => {
                let value = self.global_value(global_index);
                self.push(value);
            }
            Operator::GlobalSet { global_index } => {
                let value = self.pop();
                self.set_global(global_index, &value);
            }
            Operator::I32Const { value } => self.push(Value::i32(value)),
            Operator::I64Const { value } => self.push(Value::i64(value)),
            Operator::F32Const { value } => self.push(Value::f32(value.bits())),
            Operator::F64Const { value } => self.push(Value::f64(value.bits())),
            Operator::V128Const { value } => {
                let bits = value.i128() as u128;
                let (low, high) = (bits as u64 as i64, (bits >> 64) as u64 as i64);
                self.push(Value::new(Type::V128, &format!("<i64 {low}, i64 {high}>")));
            }
            Operator::RefNull { .. } => self.push(Value::new(Type::Function, "null")),
            Operator::RefFunc { function_index } => {
                let record = self.module.record_of(function_index);
                let value = self.field(self.layout.function(record));
                self.push(value);
            }
            Operator::RefIsNull => {
                let value = self.pop();
                let is_null = self.bit(format_args!("icmp eq ptr {value}, null"));
                self.push_bit(&is_null);
            }
            _ => return false,
        }
        true
    }

    fn global_value(&mut self, global: u32) -> Value {
        let of = &self.module.globals[global as usize];
        let (ty, at) = (of.content, self.global_place(global));
        // One that is not mutable changes once, before anything else runs.
        self.value(ty, format_args!("load {}, ptr {at}{}", ty.ir(), alias::GLOBALS))
    }

    pub(super) fn set_global(&mut self, global: u32, value: &Value) {
        let (at, value) = (self.global_place(global), value.typed());
        let volatile = if self.has_faults() { "volatile " } else { "" };
        self.line(format_args!("store {volatile}{value}, ptr {at}{}", alias::GLOBALS));
    }

    /// Whether code of the module may fault, and what it did before must be found then.
    pub(super) fn has_faults(&self) -> bool {
        (0..self.module.memories.len()).any(|memory| bounds::is_volatile(self, memory as u32))
    }

    fn global_place(&mut self, global: u32) -> Value {
        let of = &self.module.globals[global as usize];
        let offset = self.layout.global(global as usize);
        match of.initial.is_none() && of.mutable {
            true => self.once(Type::Extern, "ptr", offset),
            false => self.field(offset),
        }
    }

    /// The value of a constant expression.
    pub(super) fn constant(&mut self, expression: &ConstExpr<'_>) -> wasmparser::Result<Value> {
        for operator in expression.get_operators_reader() {
            let operator = operator?;
            if !matches!(operator, Operator::End) {
                self.operator(&operator);
            }
        }
        Ok(self.pop())
    }
}

impl Signature {
    /// The slots that its parameters or results take, whichever are more.
    pub(crate) fn slots(&self) -> usize {
        let slots = |types: &[Type]| types.iter().map(|ty| ty.slots()).sum::<usize>();
        slots(&self.params).max(slots(&self.results))
    }
}
