//! Whether the steps of a chain come to an end.

use std::collections::HashMap;

use crate::limits::{ATTEMPTS_MAX, DEADLINE_MAX, RETRY_DELAY_MAX, RETRY_FACTOR_MAX, STEPS_MAX};
use crate::{At, Chain, Step, Time};

use super::{Check, SHORTEST};

impl Check<'_> {
    pub(super) fn chains(&mut self) {
        let manifest = self.manifest;
        for (name, chain) in &manifest.chains {
            self.bounds("`deadline`", &chain.deadline, SHORTEST, DEADLINE_MAX);
            match chain.steps.len() {
                0 => self.problem(name.span(), format!("the chain `{}` has no steps", **name)),
                1..=STEPS_MAX => self.graph(chain),
                _ => self.problem(chain.steps[STEPS_MAX].name.span(), format!("more than {STEPS_MAX} steps")),
            }
            for step in &chain.steps {
                self.step(step);
            }
        }
    }

    /// Each name once, each reference to one of them, and no way round.
    fn graph(&mut self, chain: &Chain) {
        let mut seen = HashMap::new();
        for (index, step) in chain.steps.iter().enumerate() {
            if let Some(earlier) = seen.insert(&*step.name, step) {
                let line = self.manifest.source.line(earlier.name.span().start);
                self.problem(
                    step.name.span(),
                    format!("the step `{}` is on line {line} already", *step.name),
                );
            }
            let after = step.after.as_ref().map_or(&[][..], |after| after);
            for name in after {
                if !chain.steps.iter().any(|step| step.name == *name) {
                    self.unknown("step", "steps", name, chain.steps.iter().map(|step| &step.name));
                }
            }
            if *step.each && chain.inputs(index).len() > 1 {
                let hint = "let a step before it join them";
                self.problem_with_hint(step.each.span(), "`each` of more than one input", hint);
            }
        }
        if let Some(cycle) = chain.cycle() {
            let first = &chain.steps[cycle[0]];
            let names: Vec<_> =
                cycle.iter().chain(&cycle[..1]).map(|step| &**chain.steps[*step].name).collect();
            let message = format!("steps that wait for each other: `{}`", names.join("` after `"));
            self.problem(first.after.as_ref().map_or(first.name.span(), At::span), message);
        }
    }

    fn step(&mut self, step: &Step) {
        self.function(&step.call);
        if let Some(timeout) = &step.timeout {
            self.bounds("`timeout`", timeout, SHORTEST, DEADLINE_MAX);
        }
        if let Some(retry) = &step.retry {
            self.bounds("`attempts`", &retry.attempts, 1, ATTEMPTS_MAX);
            self.bounds("`delay`", &retry.delay, Time(std::time::Duration::ZERO), RETRY_DELAY_MAX);
            self.bounds("`factor`", &retry.factor, 1.0, RETRY_FACTOR_MAX);
        }
        if let Some(path) = step.when.as_ref().map(|when| &when.path).filter(|path| !is_pointer(path)) {
            let message = format!("`{}` is not a JSON pointer", **path);
            self.problem_with_hint(
                path.span(),
                message,
                "write `/key`, `/list/0`, or `\"\"` for all of the input",
            );
        }
    }
}

/// Whether RFC 6901 takes `text` as a pointer.
fn is_pointer(text: &str) -> bool {
    let escaped = |after: &str| after.starts_with(['0', '1']);
    (text.is_empty() || text.starts_with('/')) && text.split('~').skip(1).all(escaped)
}
