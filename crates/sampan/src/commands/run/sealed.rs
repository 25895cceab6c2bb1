//! The same under profile `sealed`: the program runs in a process of its own, and this one supervises it.

use std::io::ErrorKind;

use engine::sealed::{self, Dir, Ending, Fit, Inside, Layer, Outside, Plan, Side, Source, Supplier};
use engine::{Profile, Settings};
use host::{DirError, Grants};

use super::{Run, Task, runtime, unopened};
use crate::report::Report;
use crate::tuning::engine;
use crate::watchdog::time_limit;
use crate::{home, source};

impl Run {
    pub(super) fn execute_sealed(&self, task: Task, settings: &Settings) -> Result<i32, Report> {
        if self.coredump.is_some() || self.sample.is_some() {
            let wanted = if self.sample.is_some() { "--sample" } else { "--coredump" };
            return Err(Report::usage(format!("cannot use `{wanted}` under profile `sealed`"))
                .cause("nobody looks into a sealed process")
                .hint("`--profile dense` runs the same code where it can be looked at"));
        }
        if settings.options.egress_rate.is_some() && !task.grants.listen.is_empty() {
            return Err(Report::usage("cannot use `--listen` with `-O egress-rate`")
                .cause("what is sent to who comes would count for nothing")
                .hint("`-O egress-rate` holds what the program sends to where `--net` and `--http` let it"));
        }
        task.grants.dirs.iter().try_for_each(check)?;
        let plan = plan(settings, &task.grants);
        match sealed::split(plan).map_err(|error| unsealed(&task.shown, &error))? {
            Side::Outside(outside) => self.supervise(outside, &task, settings),
            Side::Inside(inside) => self.execute_inside(&inside, task, settings),
        }
    }

    /// What the process does that is sealed by now.
    fn execute_inside(&self, inside: &Inside, mut task: Task, settings: &Settings) -> Result<i32, Report> {
        let mut engine = engine(settings.clone(), self.verbose)?;
        let program = source::load_with(&mut engine, self.program(), |engine| inside.load(engine))?;
        let interrupts =
            if settings.limits.time_max.is_some() { self.interrupts(&engine, &program, None) } else { None };
        for (index, dir) in task.grants.dirs.iter_mut().enumerate() {
            dir.host = inside.dir(index).unwrap_or_default();
        }
        let host = self.host(&task, engine.settings())?;
        let runtime = runtime()?;
        let ends_itself = interrupts.is_some() || engine.settings().has_epochs();
        inside
            .begin(ends_itself)
            .map_err(|error| Report::usage(format!("cannot seal {}", task.shown)).cause(error))?;
        self.drive(&runtime, &engine, &program, interrupts.as_ref(), host, &task)
    }

    /// What this process does for the other one.
    fn supervise(&self, outside: Outside, task: &Task, settings: &Settings) -> Result<i32, Report> {
        if self.verbose {
            outside.layers().iter().for_each(|layer| eprintln!("sampan: {layer}"));
        }
        let source = match source::is_stdin(self.program()) {
            true => Source::Bytes(source::read(self.program())?),
            false => Source::File(self.program()),
        };
        let cache = self.cache();
        let seal = || home::seal().ok();
        let supplier = Supplier::new((settings, Fit::of(settings)), source, cache.as_ref(), &seal);
        let limit = settings.limits.time_max;
        let ending = outside
            .supervise(Some(supplier), limit, None)
            .map_err(|error| source::explain(self.program(), &error))?;
        if let Some(signal) = ending.signal() {
            sealed::end_by_signal(signal)
        }
        match (ending, limit) {
            (Ending::Exited(code), _) => Ok(code),
            (Ending::Time, Some(limit)) => Err(time_limit(&task.shown, limit)),
            (ending, _) => Err(explain(&task.shown, &ending)),
        }
    }
}

/// Refuses, as every profile does, what is no directory.
fn check(dir: &host::grants::Dir) -> Result<(), Report> {
    let found = std::fs::metadata(&dir.host).and_then(|found| match found.is_dir() {
        true => Ok(()),
        false => Err(ErrorKind::NotADirectory.into()),
    });
    found.map_err(|source| unopened(&DirError { path: dir.host.clone(), source }))
}

fn plan(settings: &Settings, grants: &Grants) -> Plan {
    let dir = |dir: &host::grants::Dir| Dir { path: dir.host.clone(), read_only: dir.read_only };
    let mut plan = Plan::new(settings);
    plan.dirs = grants.dirs.iter().map(dir).collect();
    plan.network = host::egress::network(grants);
    plan
}

/// What a user reads when there is no sealed process.
fn unsealed(program: &str, error: &sealed::Error) -> Report {
    let report = Report::usage(format!("cannot seal {program}"));
    match error {
        sealed::Error::Refused(layers) => {
            let refused = layers.iter().filter(|layer| layer.is_refused());
            refused.fold(report.cause(error), |report, layer: &Layer| report.cause(layer)).hint(
                "`-O seal=best-effort` runs it without what is refused; `--profile dense` needs none of it",
            )
        }
        error => report.cause(error).causes_of(error),
    }
}

/// What a user reads when the process did not come to its own end.
fn explain(program: &str, ending: &Ending) -> Report {
    let report = match ending {
        Ending::Memory(bytes) => Report::failure(format!("the process of {program} held too much memory"))
            .cause(format!(
                "the kernel ended it at {} MiB: what the program may hold, and what its process needs",
                bytes >> 20
            ))
            .hint("`--memory` sets the limit"),
        Ending::Violation(call) => Report::failure(format!(
            "{program} was ended: its process made the system call `{call}`"
        ))
        .cause("no sealed program needs it: either something took over the engine, or `sampan` has an error"),
        Ending::Nonsense => {
            Report::failure(format!("{program} was ended: its process lied to its supervisor"))
                .cause("either something took over the engine, or `sampan` has an error")
        }
        Ending::Signal(signal) => Report::failure(format!("{program} was ended by signal {signal}")),
        ending => Report::failure(format!("{program} was ended: {ending:?}")),
    };
    report.note(format!("profile: {}", Profile::Sealed))
}
