//! Calls: of functions by number, and by reference.
//!
//! A function takes its instance, then where its results go if there are more than two, then its parameters.

use super::{Emitter, Value, alias};
use crate::assembly::Options;
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
    format!("define internal {convention} {result} {name}({params}) #0 section \"sampan_text\"")
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
        let index = self.pop();
        let module = self.module;
        let number = module.types[ty as usize];
        let at = self.element(table, &index, Trap::UndefinedElement);
        let record = self.pointer(format_args!("load ptr, ptr {at}{}", alias::TABLES));
        let is_null = self.bit(format_args!("icmp eq ptr {record}, null"));
        self.trap_if(&is_null, Trap::UninitializedElement);
        let word = self.options.target.word();
        let wanted = self.once(Type::I64, word, self.layout.type_id(number));
        let [code, instance, type_id] =
            [(0, "ptr"), (1, "ptr"), (2, word)].map(|(index, ir)| self.record_word(&record, index, ir));
        let differs = self.bit(format_args!("icmp ne {word} {type_id}, {wanted}"));
        self.trap_if(&differs, Trap::IndirectCallType);
        self.call_code(code.text(), instance.text(), &module.signatures[number], is_tail);
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
