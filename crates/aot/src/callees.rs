//! What calls through a table can reach, where nothing changes the table once its instance has begun.

use std::collections::BTreeMap;

use crate::module::{Module, Type};
use rt::abi::Kind;
use wasmparser::{ConstExpr, Operator};

/// The functions that elements of a table refer to; all other elements are null.
pub(crate) type Functions = BTreeMap<u64, u32>;

impl Module<'_> {
    /// What each table refers to as long as its instance lives; `None` if that can change, or is not known.
    ///
    /// No table may be imported: through one that is, functions of an instance that could not begin may be called, and
    /// the tables of that instance may lack some of their elements.
    pub(crate) fn fixed_tables(&self) -> wasmparser::Result<Vec<Option<Functions>>> {
        let mut tables = vec![None; self.tables.len()];
        if self.tables_imported > 0 || self.tables.is_empty() {
            return Ok(tables);
        }
        let mut is_fixed: Vec<bool> = self
            .tables
            .iter()
            .map(|table| table.element == Type::Function && table.initial.is_none())
            .collect();
        for export in self.exports.iter().filter(|export| export.kind == Kind::Table) {
            is_fixed[export.index as usize] = false;
        }
        for body in &self.bodies {
            for operator in body.get_operators_reader()? {
                if let Some(table) = written(&operator?) {
                    is_fixed[table as usize] = false;
                }
            }
        }
        for (index, table) in tables.iter_mut().enumerate() {
            if is_fixed[index] {
                *table = self.functions_of(index)?;
            }
        }
        Ok(tables)
    }

    /// What the segments leave in a table, if all that they need is constant and fits.
    fn functions_of(&self, table: usize) -> wasmparser::Result<Option<Functions>> {
        let mut functions = Functions::new();
        for segment in &self.elements {
            let Some((_, offset)) = segment.active.as_ref().filter(|(of, _)| *of as usize == table) else {
                continue;
            };
            let Some(first) = constant(offset)? else { return Ok(None) };
            if first
                .checked_add(segment.items.len() as u64)
                .is_none_or(|end| end > self.tables[table].len_min)
            {
                return Ok(None);
            }
            for (at, item) in (first..).zip(&segment.items) {
                match self.recorded.get(*item as usize) {
                    Some(function) => functions.insert(at, *function),
                    // Null, or the value of a global.
                    None => return Ok(None),
                };
            }
        }
        Ok(Some(functions))
    }
}

/// The table that an operator may change.
const fn written(operator: &Operator<'_>) -> Option<u32> {
    match *operator {
        Operator::TableSet { table }
        | Operator::TableGrow { table }
        | Operator::TableFill { table }
        | Operator::TableInit { table, .. }
        | Operator::TableCopy { dst_table: table, .. } => Some(table),
        _ => None,
    }
}

fn constant(expression: &ConstExpr<'_>) -> wasmparser::Result<Option<u64>> {
    let mut reader = expression.get_operators_reader();
    let value = match reader.read()? {
        Operator::I32Const { value } => u64::from(value as u32),
        Operator::I64Const { value } => value as u64,
        _ => return Ok(None),
    };
    Ok(matches!(reader.read()?, Operator::End).then_some(value))
}
