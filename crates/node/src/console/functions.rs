//! The functions of the app, all at a glance and one at a time.

use std::time::SystemTime;

use http::Response;
use maud::{Markup, html};
use wasmtime_wasi_http::WasiBody;

use super::page::{Tab, page};
use super::samples::now;
use super::{View, chart, logs, page};
use crate::function::Function;
use crate::stats::Summary;

/// Lines of log on the page of a function.
const LINES: usize = 20;

pub(super) fn overview(view: &View) -> Response<WasiBody> {
    let app = view.node.app();
    let functions = app.functions();
    let rates = view.samples.rates(None);
    let (running, waiting) = functions
        .iter()
        .map(|function| function.load())
        .fold((0, 0), |sum, load| (sum.0 + load.0, sum.1 + load.1));
    let warm: usize = functions.iter().map(|function| function.warm()).sum();
    let up = SystemTime::now().duration_since(view.node.begun).unwrap_or_default();
    let lost: u64 = rates.unanswered.iter().rev().take(60).sum();
    let content = html! {
        h1.quiet { "Functions" }
        div id="live" data-live {
            dl.tiles {
                (page::tile("Calls", page::rate(now(&rates.total())), "a second"))
                (page::tile("Unanswered", page::count(lost), "in the last minute"))
                (page::tile("Running", page::count(running.into()), format!("{} waiting", page::count(waiting as u64))))
                (page::tile("Warm", page::count(warm as u64), if warm == 1 { "instance" } else { "instances" }))
                (page::tile("Memory", memory_bytes().map_or("–".to_owned(), page::bytes), "resident"))
                (page::tile("Up", page::length(up), ""))
            }
            section.card {
                h2 { "Calls a second" }
                (chart::rates(&rates))
            }
            section.card {
                table.stack {
                    caption { "What each function does" }
                    thead {
                        tr {
                            th scope="col" { "function" }
                            th scope="col" { "last minute" }
                            @for name in ["a second", "answered", "failed", "trapped", "late", "refused", "p50", "p90", "p99", "running", "warm"] {
                                th.number scope="col" { (name) }
                            }
                        }
                    }
                    tbody { @for function in &functions { (row(view, function)) } }
                }
            }
        }
    };
    page(view, Tab::Functions, "Functions", &content)
}

fn row(view: &View, function: &Function) -> Markup {
    let counted = function.summary();
    let rates = view.samples.rates(Some(function.name()));
    let (running, waiting) = function.load();
    let loss = |name: &str, number: u64| html! { td.number.bad[number > 0].zero[number == 0] data-name=(name) { (page::count(number)) } };
    let time = |name: &str, us: u64| {
        html! {
            td.number data-name=(name) { @if us == 0 { "–" } @else { (page::micros(us)) } }
        }
    };
    html! {
        tr {
            th scope="row" { a href={ "/functions/" (function.name()) } { (function.name()) } }
            td data-name="last minute" { (chart::spark(&rates)) }
            td.number data-name="a second" { (page::rate(now(&rates.total()))) }
            td.number data-name="answered" { (page::count(counted.answered)) }
            (loss("failed", counted.failed))
            (loss("trapped", counted.trapped))
            (loss("late", counted.late))
            (loss("refused", counted.refused))
            (time("p50", counted.p50_us))
            (time("p90", counted.p90_us))
            (time("p99", counted.p99_us))
            td.number data-name="running" { (running) @if waiting > 0 { span.note { " + " (waiting) } } }
            td.number data-name="warm" {
                (function.warm())
                @if function.frozen() > 0 { span.note { " · " (function.frozen()) " frozen" } }
            }
        }
    }
}

pub(super) fn function(view: &View, name: &str) -> Option<Response<WasiBody>> {
    let function = view.node.app().function(name)?;
    let counted = function.summary();
    let rates = view.samples.rates(Some(name));
    let latencies = function.stats.latency().clone();
    let content = html! {
        nav.path aria-label="Where this is" { a href="/" { "Functions" } }
        h1 { (name) }
        div id="live" data-live {
            dl.tiles { (tiles(&function, &counted, now(&rates.total()))) }
            div.pair {
                section.card { h2 { "Calls a second" } (chart::rates(&rates)) }
                section.card { h2 { "How long calls take" } (chart::latencies(&latencies)) }
            }
        }
        div.pair {
            section.card { h2 { "What the manifest says" } (declared(view, name)) }
            section.card {
                h2 { "How calls ended" }
                table {
                    caption { "Calls since the node began" }
                    tbody {
                        @for (end, number) in [("answered", counted.answered), ("failed", counted.failed), ("trapped", counted.trapped), ("late", counted.late), ("refused", counted.refused)] {
                            tr { th scope="row" { (end) } td.number { (page::count(number)) } }
                        }
                    }
                }
            }
        }
        section.card {
            h2 { "What it said last" }
            (logs::lines(&logs::last(view, Some(name), LINES)))
            p { a href={ "/logs?function=" (name) } { "Its whole log" } }
        }
    };
    Some(page(view, Tab::Functions, name, &content))
}

fn tiles(function: &Function, counted: &Summary, rate: f64) -> Markup {
    let (running, waiting) = function.load();
    let calls = counted.answered + counted.failed + counted.trapped + counted.late + counted.refused;
    let share = if calls == 0 { 100.0 } else { counted.answered as f64 * 100.0 / calls as f64 };
    // Nine tenths of a per cent more or less matter most near the top.
    let share =
        if calls == counted.answered { "100 %".to_owned() } else { format!("{:.2} %", share.min(99.99)) };
    html! {
        (page::tile("Calls", page::rate(rate), "a second"))
        (page::tile("Answered", share, format!("of {}", page::count(calls))))
        (page::tile("Running", page::count(running.into()), format!("{} waiting", page::count(waiting as u64))))
        (page::tile("Warm", page::count(function.warm() as u64), format!("of {}", page::count(function.settings.reuse as u64))))
        (page::tile("Instances", page::count(counted.instances), "made"))
        @if function.frozen() > 0 { (page::tile("Frozen", page::count(function.frozen() as u64), "since nobody calls")) }
    }
}

/// What the function is and what it may do. Names only: values of variables and of its configuration may be secret.
fn declared(view: &View, name: &str) -> Markup {
    let app = view.node.app();
    let manifest = app.manifest();
    let Some(function) = manifest.functions.get(name) else {
        return html! {};
    };
    let (limits, grants) = (&function.limits, &function.grants);
    let reaches =
        |route: &&image::Route| matches!(route.target(), image::Target::Function(to) if **to == *name);
    let routes: Vec<String> =
        manifest.routes.iter().filter(reaches).map(|route| (**route.path).to_owned()).collect();
    let names =
        |names: &[image::At<image::Name>]| names.iter().map(|name| name.to_string()).collect::<Vec<_>>();
    let texts = |texts: &[image::At<String>]| texts.iter().map(|text| (**text).clone()).collect::<Vec<_>>();
    let variables = function.env.keys().chain(function.secrets.keys()).map(|name| (**name).clone()).collect();
    let facts: [(&str, Vec<String>); 12] = [
        ("routes", routes),
        ("program", vec![function.program.display().to_string()]),
        ("profile", vec![format!("{:?}", *function.profile).to_lowercase()]),
        (
            "limits",
            vec![
                format!("{} of memory", page::bytes(limits.memory.0)),
                format!(
                    "{} a call",
                    page::micros(u64::try_from(limits.deadline.0.as_micros()).unwrap_or(u64::MAX))
                ),
                format!("{} at once", page::count((*limits.concurrency).into())),
                format!("{} may wait", page::count((*limits.queue).into())),
            ],
        ),
        ("buckets", names(&grants.buckets)),
        ("watches", names(&function.watches)),
        ("calls", names(&grants.calls)),
        ("directories", texts(&grants.dirs)),
        ("network", texts(&grants.net)),
        ("servers", texts(&grants.http)),
        ("variables", variables),
        ("configuration", grants.config.keys().map(|name| (**name).clone()).collect()),
    ];
    html! {
        dl.facts {
            @for (fact, values) in facts.iter().filter(|(_, values)| !values.is_empty()) {
                dt { (fact) }
                dd { @for value in values { code { (value) } " " } }
            }
        }
    }
}

/// Memory of the whole process that is resident, where the operating system says so.
fn memory_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}
