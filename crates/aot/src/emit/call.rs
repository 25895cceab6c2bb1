//! Calls: of functions by number, and by reference.
//!
//! A function takes its instance, then where its results go if there are more than two, then its parameters.

use super::{Emitter, Value, alias};
use crate::assembly::Options;
use crate::limits::CALLEES_MAX;
use crate::module::{Module, Signature, Type};
use rt::Trap;
use wasmparser::Operator;

/// So many results are given back in registers.
pub(super) const RESULTS_MAX: usize = 2;

/// The name of a function's code.
pub(crate) fn function_name(name: &str, function: u32) -> String {
    format!("@{name}.f{function}")
}

/// What a function of this type gives back.
pub(super) fn result_type(signature: &Signature) -> String {
    match &signature.results[..] {
        [] => "void".to_owned(),
        [one] => one.ir().to_owned(),
        [first, second] => format!("{{ {}, {} }}", first.ir(), second.ir()),
        _ => "void".to_owned(),
    }
}

/// The parameters of a function, named as the code of its body expects.
pub(super) fn params(signature: &Signature, instance: &str) -> String {
    let mut text = format!("ptr {instance}");
    if signature.results.len() > RESULTS_MAX {
        text.push_str(", ptr %results");
    }
    for (index, ty) in signature.params.iter().enumerate() {
        text.push_str(&format!(", {} %p{index}", ty.ir()));
    }
    text
}

/// The first line of a function, without its brace.
pub(super) fn header(module: &Module<'_>, options: &Options, name: &str, function: u32) -> String {
    let signature = module.signature(function);
    let (convention, result) = (options.target.convention, result_type(signature));
    let (name, params) = (function_name(name, function), params(signature, "%instance"));
    let section = options.section();
    format!("define internal {convention} {result} {name}({params}) #0 section \"{section}\"")
}

impl Emitter<'_, '_> {
    pub(super) fn call(&mut self, operator: &Operator<'_>) -> bool {
        match *operator {
            Operator::Call { function_index } => self.call_direct(function_index, false),
            Operator::ReturnCall { function_index } => self.call_direct(function_index, true),
            Operator::CallIndirect { type_index, table_index } => {
                self.call_indirect(type_index, table_index, false);
            }
            Operator::ReturnCallIndirect { type_index, table_index } => {
                self.call_indirect(type_index, table_index, true);
            }
            _ => return false,
        }
        true
    }

    pub(super) fn call_direct(&mut self, function: u32, is_tail: bool) {
        let module = self.module;
        let signature = module.signature(function);
        if !module.is_imported(function) {
            let code = function_name(self.name, function);
            self.call_code(&code, "%instance", signature, is_tail);
            return;
        }
        let record = self.layout.function(module.record_of(function));
        let code = self.once(Type::Extern, "ptr", record);
        let instance = self.once(Type::Extern, "ptr", record + self.words(1));
        self.call_code(code.text(), instance.text(), signature, is_tail);
    }

    fn call_indirect(&mut self, ty: u32, table: u32, is_tail: bool) {
        let module = self.module;
        let number = module.types[ty as usize];
        if let Some(callees) = self.callees(table, number).filter(|_| !is_tail) {
            self.call_one_of(&callees, number, table);
            return;
        }
        let index = self.pop();
        let record = self.record(table, &index);
        let word = self.options.target.word();
        let wanted = self.once(Type::I64, word, self.layout.type_id(number));
        let [code, instance, type_id] =
            [(0, "ptr"), (1, "ptr"), (2, word)].map(|(index, ir)| self.record_word(&record, index, ir));
        let differs = self.bit(format_args!("icmp ne {word} {type_id}, {wanted}"));
        self.trap_if(&differs, Trap::IndirectCallType);
        self.call_code(code.text(), instance.text(), &module.signatures[number], is_tail);
    }

    /// The functions of a type that a table has for good, with their places in it, if they are few.
    fn callees(&self, table: u32, number: usize) -> Option<Vec<(u64, u32)>> {
        let functions = self.module.fixed_tables[table as usize].as_ref()?.iter();
        let of_type = functions.filter(|(_, function)| self.module.functions[**function as usize] == number);
        let callees: Vec<_> = of_type.map(|(at, function)| (*at, *function)).take(CALLEES_MAX + 1).collect();
        (callees.len() <= CALLEES_MAX).then_some(callees)
    }

    /// Calls a function by name, whichever the index means: LLVM knows those, and may put one in its caller.
    fn call_one_of(&mut self, callees: &[(u64, u32)], number: usize, table: u32) {
        let index = self.pop();
        let signature = &self.module.signatures[number];
        let args = self.pop_many(signature.params.len());
        let slots: Vec<Value> = signature.results.iter().map(|ty| self.alloca(ty.ir())).collect();
        let (end, missing) = (self.number(), self.number());
        let callees: Vec<(u32, u64, u32)> =
            callees.iter().map(|(at, function)| (self.number(), *at, *function)).collect();
        let ty = index.ty.ir();
        let cases: Vec<String> =
            callees.iter().map(|(label, at, _)| format!("{ty} {}, label %b{label}", *at as i64)).collect();
        self.line(format_args!("switch {}, label %b{missing} [{}]", index.typed(), cases.join(" ")));
        for (label, _, function) in callees {
            self.label(label);
            self.stack.extend(args.iter().cloned());
            self.call_direct(function, false);
            let results = self.pop_many(slots.len());
            for (result, slot) in results.iter().zip(&slots) {
                self.line(format_args!("store {}, ptr {slot}", result.typed()));
            }
            self.line(format_args!("br label %b{end}"));
        }
        self.label(missing);
        self.record(table, &index);
        self.traps.insert(Trap::IndirectCallType as u32);
        self.line(format_args!("br label %trap{}", Trap::IndirectCallType as u32));
        self.label(end);
        for (ty, slot) in signature.results.iter().zip(&slots) {
            let value = self.value(*ty, format_args!("load {}, ptr {slot}", ty.ir()));
            self.push(value);
        }
    }

    /// The record that an element of a table refers to; traps if there is none.
    fn record(&mut self, table: u32, index: &Value) -> Value {
        let at = self.element(table, index, Trap::UndefinedElement);
        let record = self.pointer(format_args!("load ptr, ptr {at}{}", alias::TABLES));
        let is_null = self.bit(format_args!("icmp eq ptr {record}, null"));
        self.trap_if(&is_null, Trap::UninitializedElement);
        record
    }

    /// A word of a function's record, which never changes.
    fn record_word(&mut self, record: &Value, index: usize, ir: &str) -> Value {
        let offset = self.words(index);
        let at = self.pointer(format_args!("getelementptr inbounds i8, ptr {record}, i64 {offset}"));
        self.pointer(format_args!("load {ir}, ptr {at}{}", alias::INVARIANT))
    }

    fn call_code(&mut self, code: &str, instance: &str, signature: &Signature, is_tail: bool) {
        self.is_leaf = false;
        let args = self.pop_many(signature.params.len());
        let mut list = format!("ptr {instance}");
        let by_slots = signature.results.len() > RESULTS_MAX;
        let mut slots = None;
        if by_slots {
            let place = match is_tail {
                true => Value::new(Type::Extern, "%results"),
                false => self.alloca(&format!("[{} x i64]", signature.slots())),
            };
            list.push_str(&format!(", ptr {place}"));
            slots = Some(place);
        }
        for arg in &args {
            list.push_str(&format!(", {}", arg.typed()));
        }
        let (convention, result) = (self.options.target.convention, result_type(signature));
        let how = if is_tail { "musttail " } else { "" };
        let call = format!("{how}call {convention} {result} {code}({list})");
        let value = match result.as_str() {
            "void" => {
                self.line(format_args!("{call}"));
                None
            }
            _ => Some(self.pointer(format_args!("{call}"))),
        };
        if is_tail {
            match value {
                None => self.line(format_args!("ret void")),
                Some(value) => self.line(format_args!("ret {result} {value}")),
            }
            self.reachable = false;
            return;
        }
        match (&signature.results[..], value, slots) {
            ([one], Some(value), _) => self.push(Value::new(*one, value.text())),
            ([first, second], Some(pair), _) => {
                for (index, ty) in [first, second].into_iter().enumerate() {
                    let value = self.value(*ty, format_args!("extractvalue {result} {pair}, {index}"));
                    self.push(value);
                }
            }
            (results, _, Some(slots)) => {
                let values = self.load_slots(slots.text(), results);
                self.stack.extend(values);
            }
            _ => {}
        }
    }
}
