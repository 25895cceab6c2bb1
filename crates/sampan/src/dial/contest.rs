//! The contest: each contestant runs once per round, so that whatever else the machine does strikes all of them alike.

use std::io::{self, IsTerminal, stderr};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::Serialize;
use serde_json::Value;

use super::contestant::{Contestant, Ground, Task};
use super::isolation::{self, Layer, Probes};
use super::memory::{self, Memory};
use super::process::{self, RunResult, standard_input};
use super::stats::Spread;

/// A contestant that has used this much time runs in no more than [`ROUNDS_MIN`] rounds.
const TIME_ENOUGH: Duration = Duration::from_secs(10);

const ROUNDS_MIN: u32 = 3;

/// What is to be measured.
pub(crate) struct Contest {
    pub(crate) contestants: Vec<Contestant>,
    /// The least program: what it costs to start one.
    pub(crate) least: Task,
    pub(crate) task: Task,
    pub(crate) input: Option<PathBuf>,
    pub(crate) probes: Probes,
    pub(crate) rounds: u32,
    /// Numbers of instances whose memory is measured.
    pub(crate) instances: Vec<u32>,
    pub(crate) ground: Ground,
}

/// Times of whole runs, in seconds.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(crate) struct Times {
    /// When nothing was compiled beforehand. `None` for what is not compiled.
    pub(crate) cold: Option<Spread>,
    /// A process of its own, whose code is at hand.
    pub(crate) cached: Option<Spread>,
    /// In a process that ran the program before. `None` where there is no such.
    pub(crate) warm: Option<Spread>,
    /// Processor time of a cached run.
    pub(crate) cpu: Option<Spread>,
}

/// What was measured of one contestant.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Measured {
    pub(crate) name: &'static str,
    /// Whether its instances share a process.
    pub(crate) shares: bool,
    pub(crate) start: Times,
    pub(crate) run: Times,
    pub(crate) memory: Vec<Memory>,
    /// Time that a request takes, in seconds, of what answers requests.
    pub(crate) call: Option<Spread>,
    pub(crate) layers: Vec<Layer>,
}

impl Measured {
    /// How many layers stand.
    pub(crate) fn standing(&self) -> usize {
        self.layers.iter().filter(|layer| layer.stands).count()
    }
}

/// One that was not measured, and why.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Absent {
    pub(crate) name: &'static str,
    pub(crate) why: String,
}

/// What came of it.
pub(crate) struct Outcome {
    pub(crate) measured: Vec<Measured>,
    pub(crate) absent: Vec<Absent>,
}

/// Why there was no contest: the program itself does not run.
pub(crate) struct Unrunnable {
    pub(crate) by: &'static str,
    pub(crate) why: String,
}

impl Unrunnable {
    /// What kept the first of those who could not.
    pub(crate) fn by_first(absent: &[Absent]) -> Self {
        let first = absent.first().cloned();
        let (by, why) = first.map_or(("nobody", String::new()), |first| (first.name, first.why));
        Self { by, why }
    }
}

impl Contest {
    pub(crate) fn run(self) -> Result<Outcome, Unrunnable> {
        let (mut present, mut absent) = (Vec::new(), Vec::new());
        for contestant in &self.contestants {
            match contestant.absence(&self.task) {
                Some(why) => absent.push(Absent { name: contestant.name, why }),
                None => present.push(*contestant),
            }
        }
        let expected = self.admit("trial", &self.task, self.input.as_deref(), &mut present, &mut absent)?;
        self.admit("least program", &self.least, None, &mut present, &mut absent)?;
        let start = self.time("start", &self.least, None, None, &present);
        let run = self.time("run", &self.task, self.input.as_deref(), Some(&expected), &present);
        let mut measured = Vec::new();
        for ((contestant, start), run) in present.into_iter().zip(start).zip(run) {
            progress(&format!("{}: isolation and memory", contestant.name));
            match isolation::look(contestant, &self.probes, &self.ground) {
                Err(error) => absent.push(Absent { name: contestant.name, why: error.to_string() }),
                Ok(layers) => measured.push(Measured {
                    name: contestant.name,
                    shares: memory::share_a_process(contestant),
                    start,
                    run,
                    memory: memory::measure(
                        contestant,
                        &self.task,
                        self.input.as_deref(),
                        &self.instances,
                        &self.ground,
                    ),
                    call: None,
                    layers,
                }),
            }
        }
        progress("");
        Ok(Outcome { measured, absent })
    }

    /// Runs the task once with each, which fills the caches. Whoever cannot, or does something else than the first, is sent
    /// away.
    fn admit(
        &self,
        what: &str,
        task: &Task,
        input: Option<&Path>,
        present: &mut Vec<Contestant>,
        absent: &mut Vec<Absent>,
    ) -> Result<RunResult, Unrunnable> {
        let mut expected: Option<RunResult> = None;
        let (mut admitted, absent_before) = (Vec::new(), absent.len());
        for contestant in present.drain(..) {
            let name = contestant.name;
            progress(&format!("{name}: {what}"));
            let judged = self.cached(contestant, task, input).map_err(|error| error.to_string());
            let judged = judged.and_then(|ended| match &expected {
                Some(expected) if *expected == ended.result => Ok(ended.result),
                Some(expected) => Err(difference(expected, &ended.result, &ended.talk)),
                None => refusal(&ended.result, &ended.talk).map_or(Ok(ended.result), Err),
            });
            match judged {
                Ok(result) => {
                    expected = Some(result);
                    admitted.push(contestant);
                }
                Err(why) => absent.push(Absent { name, why }),
            }
        }
        *present = admitted;
        let refused = &absent[absent_before..];
        expected.ok_or_else(|| Unrunnable::by_first(if refused.is_empty() { absent } else { refused }))
    }

    /// Lets each run the task in every round, in every way that it can.
    fn time(
        &self,
        what: &str,
        task: &Task,
        input: Option<&Path>,
        expected: Option<&RunResult>,
        present: &[Contestant],
    ) -> Vec<Times> {
        let mut samples = vec![Samples::default(); present.len()];
        for round in 0..self.rounds {
            // Each round begins with another one: whoever runs behind a heavy neighbour does so only once in a while.
            for turn in 0..present.len() {
                let index = (turn + round as usize) % present.len();
                let (contestant, samples) = (present[index], &mut samples[index]);
                if round >= ROUNDS_MIN && samples.spent > TIME_ENOUGH {
                    continue;
                }
                progress(&format!("{what}, round {} of {}: {}", round + 1, self.rounds, contestant.name));
                let begun = Instant::now();
                let right =
                    |ended: &process::Ended| expected.is_none_or(|expected| *expected == ended.result);
                if let Ok(ended) = self.cached(contestant, task, input)
                    && right(&ended)
                {
                    samples.cached.push(ended.wall.as_secs_f64());
                    if contestant.counts_processor_time() {
                        samples.cpu.push(ended.cpu.as_secs_f64());
                    }
                }
                if contestant.is_wasm()
                    && let Ok(ended) = self.cold(contestant, task, input)
                    && right(&ended)
                {
                    samples.cold.push(ended.wall.as_secs_f64());
                }
                if let Ok(Some((time, result))) = self.warm(contestant, task, input)
                    && expected.is_none_or(|expected| *expected == result)
                {
                    samples.warm.push(time.as_secs_f64());
                }
                samples.spent += begun.elapsed();
            }
        }
        samples.into_iter().map(Samples::times).collect()
    }

    fn cached(
        &self,
        contestant: Contestant,
        task: &Task,
        input: Option<&Path>,
    ) -> io::Result<process::Ended> {
        let mut command = contestant.command(task, &self.ground.cache(), &self.ground)?;
        process::run(&mut command, standard_input(input)?)
    }

    fn cold(&self, contestant: Contestant, task: &Task, input: Option<&Path>) -> io::Result<process::Ended> {
        let cache = self.ground.path(&self.ground.fresh("cold"));
        let ended =
            process::run(&mut contestant.command(task, &cache, &self.ground)?, standard_input(input)?);
        // It may never have come to be.
        let _ = std::fs::remove_dir_all(cache);
        ended
    }

    /// The time of a run in a process that has run the program before, and what it came to.
    fn warm(
        &self,
        contestant: Contestant,
        task: &Task,
        input: Option<&Path>,
    ) -> io::Result<Option<(Duration, RunResult)>> {
        let Some(mut command) = contestant.crowd(task, None, &self.ground)? else {
            return Ok(None);
        };
        let ended = process::run(&mut command, standard_input(input)?)?;
        let told: Value = serde_json::from_str(&ended.talk)?;
        let number = |name: &str| told[name].as_u64().ok_or(io::ErrorKind::InvalidData);
        let result = RunResult {
            code: told["code"].as_i64().and_then(|code| code.try_into().ok()).unwrap_or(-1),
            printed_bytes: number("printed_bytes")?,
            digest: told["digest"].as_str().unwrap_or_default().to_owned(),
        };
        Ok(Some((Duration::from_nanos(number("time_ns")?), result)))
    }
}

#[derive(Clone, Default)]
struct Samples {
    cold: Vec<f64>,
    cached: Vec<f64>,
    warm: Vec<f64>,
    cpu: Vec<f64>,
    spent: Duration,
}

impl Samples {
    fn times(self) -> Times {
        Times {
            cold: Spread::of(self.cold),
            cached: Spread::of(self.cached),
            warm: Spread::of(self.warm),
            cpu: Spread::of(self.cpu),
        }
    }
}

/// What kept the first of all from running the program, if anything did: it may end with any code by itself.
fn refusal(result: &RunResult, talk: &str) -> Option<String> {
    (result.code != 0 && talk.starts_with("error: ")).then(|| reason(talk))
}

/// How a run differs from what the first one came to.
fn difference(expected: &RunResult, result: &RunResult, talk: &str) -> String {
    match result.code {
        code if code != expected.code && !talk.is_empty() => reason(talk),
        code if code != expected.code => format!("wrong: it ended with {code} rather than {}", expected.code),
        _ => "wrong: it printed something else".to_owned(),
    }
}

/// What a process says of its failure, in one line.
pub(crate) fn reason(talk: &str) -> String {
    let lines: Vec<&str> = talk.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let error = lines.iter().find_map(|line| line.strip_prefix("error: "));
    let cause = lines.iter().find_map(|line| line.strip_prefix("cause: "));
    match (error, cause) {
        (Some(error), Some(cause)) => format!("{error}: {cause}"),
        (Some(error), None) => error.to_owned(),
        _ => lines.last().copied().unwrap_or_default().to_owned(),
    }
}

/// Tells whoever watches what is done now; with nothing, that all is done.
pub(crate) fn progress(text: &str) {
    if stderr().is_terminal() {
        eprint!("\r\x1b[K{text}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn result(code: i32, digest: &str) -> RunResult {
        RunResult { code, printed_bytes: 1, digest: digest.to_owned() }
    }

    #[test]
    fn who_does_something_else_is_told_apart() {
        let expected = result(0, "a");
        assert_eq!(difference(&expected, &result(0, "b"), ""), "wrong: it printed something else");
        assert_eq!(difference(&expected, &result(3, "a"), ""), "wrong: it ended with 3 rather than 0");
        let talk = "error: cannot make it\n  cause: no clang\n\nhint: install it\n";
        assert_eq!(difference(&expected, &result(2, "a"), talk), "cannot make it: no clang");
    }

    #[test]
    fn a_program_may_fail_by_itself_but_not_be_refused() {
        assert_eq!(refusal(&result(1, "a"), "no such file\n"), None);
        assert_eq!(refusal(&result(2, "a"), "error: cannot read `x`\n"), Some("cannot read `x`".to_owned()));
    }
}
