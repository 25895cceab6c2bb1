//! Tables.

use super::{Emitter, Value, alias};
use crate::module::Type;
use rt::Trap;
use rt::abi::Builtin;
use wasmparser::Operator;

impl Emitter<'_, '_> {
    pub(super) fn table(&mut self, operator: &Operator<'_>) -> bool {
        match *operator {
            Operator::TableGet { table } => {
                let index = self.pop();
                let at = self.element(table, &index, Trap::TableOutOfBounds);
                let value =
                    self.value(self.element_type(table), format_args!("load ptr, ptr {at}{}", alias::TABLES));
                self.push(value);
            }
            Operator::TableSet { table } => {
                let (value, index) = (self.pop(), self.pop());
                let at = self.element(table, &index, Trap::TableOutOfBounds);
                let volatile = if self.has_faults() { "volatile " } else { "" };
                self.line(format_args!("store {volatile}ptr {value}, ptr {at}{}", alias::TABLES));
            }
            Operator::TableSize { table } => {
                let len = self.table_len(table);
                self.push_index(self.module.tables[table as usize].index, &len);
            }
            Operator::TableGrow { table } => {
                let (more, value) = (self.pop_wide(), self.pop());
                let args = format!("i32 {table}, i64 {more}, ptr {value}");
                let before = self.builtin(Type::I64, Builtin::TableGrow, &args);
                self.push_index(self.module.tables[table as usize].index, &before);
            }
            Operator::TableFill { table } => {
                let (count, value, to) = (self.pop_wide(), self.pop(), self.pop_wide());
                let args = format!("i32 {table}, i64 {to}, ptr {value}, i64 {count}");
                let code = self.builtin(Type::I32, Builtin::TableFill, &args);
                self.trap_if_code(&code);
            }
            Operator::TableCopy { dst_table, src_table } => {
                let (count, from, to) = (self.pop_wide(), self.pop_wide(), self.pop_wide());
                let args = format!("i32 {dst_table}, i32 {src_table}, i64 {to}, i64 {from}, i64 {count}");
                let code = self.builtin(Type::I32, Builtin::TableCopy, &args);
                self.trap_if_code(&code);
            }
            Operator::TableInit { elem_index, table } => {
                let (count, from, to) = (self.pop(), self.pop(), self.pop());
                self.table_init(table, elem_index, &to, &from, &count);
            }
            Operator::ElemDrop { elem_index } => {
                self.drop_segment(self.layout.element_length(elem_index as usize));
            }
            _ => return false,
        }
        true
    }

    pub(super) fn table_init(&mut self, table: u32, segment: u32, to: &Value, from: &Value, count: &Value) {
        let to = self.widen(to);
        let length = self.segment_length(self.layout.element_length(segment as usize));
        let items = format!("@{}.elements{segment}", self.name);
        let args = format!("i32 {table}, ptr {items}, i32 {length}, i64 {to}, i32 {from}, i32 {count}");
        let code = self.builtin(Type::I32, Builtin::TableInit, &args);
        self.trap_if_code(&code);
    }

    /// The address of an element; traps if there is none.
    pub(super) fn element(&mut self, table: u32, index: &Value, trap: Trap) -> Value {
        let index = self.widen(index);
        let len = self.table_len(table);
        let outside = self.bit(format_args!("icmp uge i64 {index}, {len}"));
        self.trap_if(&outside, trap);
        let index = self.harmless(&index, &len);
        let base = self.once(Type::Extern, "ptr", self.layout.table(table as usize));
        self.pointer(format_args!("getelementptr inbounds ptr, ptr {base}, i64 {index}"))
    }

    fn element_type(&self, table: u32) -> Type {
        self.module.tables[table as usize].element
    }

    /// How many elements a table has, in 64 bits.
    fn table_len(&mut self, table: u32) -> Value {
        let (place, word) = (self.layout.table(table as usize), self.words(1));
        let at = match (table as usize) < self.module.tables_imported {
            false => self.field(self.layout.table_record(table as usize) + word),
            true => {
                let record = self.once(Type::Extern, "ptr", place + word);
                self.pointer(format_args!("getelementptr inbounds i8, ptr {record}, i64 {word}"))
            }
        };
        let (ir, lengths) = (self.options.target.word(), alias::LENGTHS);
        let len = self.value(Type::I64, format_args!("load {ir}, ptr {at}{lengths}"));
        self.widened(len.text())
    }
}
