//! Numbers that are sums of locals, as far as that can be seen within one turn of a loop.

use std::collections::{BTreeMap, HashMap};

use super::{Emitter, Value};
use crate::limits::LINEAR_TERMS_MAX;
use crate::module::Type;

/// A number of 32 bits that is, up to wrapping, a sum of locals and a constant.
#[derive(Clone, Debug, Default)]
pub(super) struct Linear {
    terms: Vec<Term>,
    pub(super) constant: i32,
}

/// A local, so many times.
#[derive(Clone, Debug)]
struct Term {
    local: u32,
    factor: i32,
    /// How often it had been set in this turn, and what that added, if each turn gets there.
    sets: u32,
    passed: i64,
    /// By how much it had moved since the loop began, in 64 bits and without wrapping.
    pub(super) moved: Option<Value>,
}

/// A local, and how often it is in a sum.
pub(super) type Locals = Vec<(u32, i32)>;

impl Linear {
    /// The sum of this and `factor` times the other; `None` if it has too many terms, or a local at two different times.
    fn plus(&self, other: &Self, factor: i32) -> Option<Self> {
        let constant = self.constant.wrapping_add(other.constant.wrapping_mul(factor));
        let mut terms = self.terms.clone();
        for term in &other.terms {
            let factor = term.factor.wrapping_mul(factor);
            match terms.iter_mut().find(|of| of.local == term.local) {
                Some(of) if of.sets == term.sets => of.factor = of.factor.wrapping_add(factor),
                Some(_) => return None,
                None => terms.push(Term { factor, ..term.clone() }),
            }
        }
        terms.retain(|term| term.factor != 0);
        terms.sort_by_key(|term| term.local);
        (terms.len() <= LINEAR_TERMS_MAX).then_some(Self { terms, constant })
    }

    /// What it is the sum of, each local once.
    pub(super) fn locals(&self) -> Locals {
        self.terms.iter().map(|term| (term.local, term.factor)).collect()
    }

    /// What it is in the first turn, less its locals as they are when the loop begins.
    pub(super) fn first(&self) -> i32 {
        self.terms
            .iter()
            .fold(self.constant, |sum, term| sum.wrapping_add((term.passed as i32).wrapping_mul(term.factor)))
    }

    /// The terms whose local has moved.
    pub(super) fn moved(&self) -> impl Iterator<Item = (&Value, i32)> {
        self.terms.iter().filter_map(|term| Some((term.moved.as_ref()?, term.factor)))
    }

    /// The term of this local, if that and a constant is all.
    fn only(&self, local: u32) -> Option<&Term> {
        match &self.terms[..] {
            [term] if term.local == local && term.factor == 1 => Some(term),
            _ => None,
        }
    }
}

/// How far a local moves in one turn at most: down (less than 0) and up. Whatever sets it adds a constant, and is done once a turn.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Step {
    pub(super) down: i64,
    pub(super) up: i64,
    /// Some turns may leave out some of it.
    pub(super) is_partial: bool,
    sets: u32,
}

/// What is known of a loop's numbers while one turn is written.
#[derive(Debug, Default)]
pub(super) struct Turn {
    values: HashMap<String, Linear>,
    /// Values that are 0 if and only if such a number is.
    zeros: HashMap<String, Linear>,
    /// What other locals than those that move were set to; `None` if that is not known.
    set: HashMap<u32, Option<Linear>>,
    /// How locals move; `None` if one is set to what is not itself and a constant.
    steps: HashMap<u32, Option<Step>>,
    /// Where the copy of the loop keeps by how much locals have moved.
    pub(super) moved: BTreeMap<u32, Value>,
}

impl Turn {
    pub(super) fn linear(&self, value: &Value) -> Option<Linear> {
        if value.ty != Type::I32 {
            return None;
        }
        match value.text().parse() {
            Ok(constant) => Some(Linear { terms: Vec::new(), constant }),
            Err(_) => self.values.get(value.text()).cloned(),
        }
    }

    /// A number that is 0 if and only if the value is.
    pub(super) fn zero(&self, value: &Value) -> Option<Linear> {
        self.zeros.get(value.text()).cloned().or_else(|| self.linear(value))
    }

    /// How a local moves; `None` if it does otherwise.
    pub(super) fn step(&self, local: u32) -> Option<Step> {
        self.steps.get(&local).copied().unwrap_or_else(|| Some(Step::default()))
    }

    fn know(&mut self, value: &Value, linear: Option<Linear>) {
        if let Some(linear) = linear {
            self.values.insert(value.text().to_owned(), linear);
        }
    }
}

impl Emitter<'_, '_> {
    /// Ways meet: what a local was set to on one of them is not known any more. One that moves does so on all of them.
    pub(super) fn meet(&mut self) {
        if let Some(turn) = &mut self.turn {
            turn.set.values_mut().for_each(|linear| *linear = None);
        }
    }

    /// Notes what a value of two operands is.
    pub(super) fn note_binary(&mut self, instruction: &str, a: &Value, b: &Value, value: &Value) {
        let Some(turn) = &mut self.turn else { return };
        let (Some(a), Some(b)) = (turn.linear(a), turn.linear(b)) else { return };
        let zero = Linear::default();
        let linear = match instruction {
            "add" => a.plus(&b, 1),
            "sub" => a.plus(&b, -1),
            "mul" if b.terms.is_empty() => zero.plus(&a, b.constant),
            "shl" if b.terms.is_empty() => zero.plus(&a, 1_i32.wrapping_shl(b.constant as u32)),
            _ => None,
        };
        turn.know(value, linear);
    }

    /// Notes that a value is 0 if and only if two others are equal.
    pub(super) fn note_unequal(&mut self, a: &Value, b: &Value, value: &Value) {
        let Some(turn) = &mut self.turn else { return };
        let (Some(a), Some(b)) = (turn.linear(a), turn.linear(b)) else { return };
        if let Some(difference) = a.plus(&b, -1) {
            turn.zeros.insert(value.text().to_owned(), difference);
        }
    }

    pub(super) fn note_local_read(&mut self, local: u32, value: &Value) {
        let Some(turn) = self.turn.as_mut().filter(|_| value.ty == Type::I32) else { return };
        let linear = match turn.set.get(&local) {
            Some(linear) => linear.clone(),
            None => {
                let slot = turn.moved.get(&local).cloned();
                let moved = slot.map(|slot| self.value(Type::I64, format_args!("load i64, ptr {slot}")));
                let step = self.turn.as_ref().and_then(|turn| turn.step(local)).unwrap_or_default();
                let (sets, passed) = (step.sets, step.up + step.down);
                Some(Linear { terms: vec![Term { local, factor: 1, sets, passed, moved }], constant: 0 })
            }
        };
        if let Some(turn) = &mut self.turn {
            turn.know(value, linear);
        }
    }

    pub(super) fn note_local_set(&mut self, local: u32, value: &Value) {
        let is_inner = self.copied.as_ref().is_some_and(|copied| copied.depth + 1 < self.frames.len());
        let Some(turn) = &mut self.turn else { return };
        let linear = turn.linear(value);
        let own =
            linear.as_ref().and_then(|linear| linear.only(local)).filter(|_| !turn.set.contains_key(&local));
        let Some(term) = own else {
            turn.steps.insert(local, None);
            turn.set.insert(local, linear);
            return;
        };
        let by = linear.as_ref().map_or(0, |linear| i64::from(linear.constant));
        if let Some(step) = turn.steps.entry(local).or_insert_with(|| Some(Step::default())) {
            step.is_partial |= is_inner;
            step.sets += 1;
            step.down += by.min(0);
            step.up += by.max(0);
        }
        if let (Some(slot), Some(moved)) = (turn.moved.get(&local).cloned(), &term.moved) {
            let moved = moved.clone();
            let now = self.value(Type::I64, format_args!("add nsw i64 {moved}, {by}"));
            self.line(format_args!("store i64 {now}, ptr {slot}"));
        }
    }
}
