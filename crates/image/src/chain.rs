//! Functions that call each other: a graph of steps, known before any of them runs.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{At, Name, Scalar, Time};

/// Steps, each of which calls a function with what the steps before it returned.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a chain: a table with `steps`")]
pub struct Chain {
    /// Time that all steps may take together.
    #[serde(default = "default_deadline")]
    pub deadline: At<Time>,
    /// The steps.
    pub steps: Vec<Step>,
}

/// One call of a function.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a step: a table with `name` and `call`")]
pub struct Step {
    /// What other steps call it.
    pub name: At<Name>,
    /// The function.
    pub call: At<Name>,
    /// The steps whose results are its input: one result as it is, several as a list. Without it, the step before;
    /// the first step, and one after none (`[]`), is given the chain's input.
    pub after: Option<At<Vec<At<Name>>>>,
    /// Whether the function is called once for each element of its input, a list. The result is the list of results.
    #[serde(default)]
    pub each: At<bool>,
    /// When the step is not skipped; without it, always.
    pub when: Option<When>,
    /// How often it is tried; without it, once.
    pub retry: Option<Retry>,
    /// Time that one attempt may take; without it, what is left of the chain's deadline.
    pub timeout: Option<At<Time>>,
}

/// A condition on a step's input.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a condition, such as `{ path = \"/kind\", equals = \"vip\" }`")]
pub struct When {
    /// A JSON pointer (RFC 6901) into the input; `""` is all of it.
    pub path: At<String>,
    /// What must be there.
    pub equals: Scalar,
}

/// How a step that failed is tried again.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a table, such as `{ attempts = 3 }`")]
pub struct Retry {
    /// Calls in all, the first one too.
    pub attempts: At<u32>,
    /// The wait before the second attempt.
    #[serde(default = "default_delay")]
    pub delay: At<Time>,
    /// By what the wait grows from one attempt to the next.
    #[serde(default = "default_factor")]
    pub factor: At<f64>,
}

fn default_deadline() -> At<Time> {
    Time(std::time::Duration::from_secs(30)).into()
}

fn default_delay() -> At<Time> {
    Time(std::time::Duration::from_millis(100)).into()
}

fn default_factor() -> At<f64> {
    2.0.into()
}

impl Chain {
    /// The steps, as indices, whose results are the input of the step at `index`. Names that no step has are left out.
    pub fn inputs(&self, index: usize) -> Vec<usize> {
        match &self.steps[index].after {
            None => index.checked_sub(1).into_iter().collect(),
            Some(after) => after.iter().filter_map(|name| self.position(name)).collect(),
        }
    }

    /// The steps, as indices, in the order in which they may run: those of one level need only levels before it.
    /// Steps that wait for themselves are in none; a checked chain has none such.
    pub fn levels(&self) -> Vec<Vec<usize>> {
        let inputs: Vec<_> = (0..self.steps.len()).map(|index| self.inputs(index)).collect();
        let mut placed = vec![false; self.steps.len()];
        let mut levels = Vec::new();
        loop {
            let ready = |index: &usize| !placed[*index] && inputs[*index].iter().all(|input| placed[*input]);
            let level: Vec<_> = (0..placed.len()).filter(ready).collect();
            if level.is_empty() {
                return levels;
            }
            level.iter().for_each(|index| placed[*index] = true);
            levels.push(level);
        }
    }

    /// Steps, as indices, each of which waits for the next, and the last for the first.
    pub(crate) fn cycle(&self) -> Option<Vec<usize>> {
        let placed: Vec<_> = self.levels().concat();
        let waits = |index: &usize| !placed.contains(index);
        // Whatever is in no level waits for another such step: going back from one to the next comes round.
        let mut path = vec![(0..self.steps.len()).find(waits)?];
        loop {
            let next = self.inputs(*path.last()?).into_iter().find(waits)?;
            if let Some(start) = path.iter().position(|index| *index == next) {
                return Some(path.split_off(start));
            }
            path.push(next);
        }
    }

    fn position(&self, name: &str) -> Option<usize> {
        self.steps.iter().position(|step| **step.name == *name)
    }
}
