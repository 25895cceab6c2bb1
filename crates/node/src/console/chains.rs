//! The chains of the app, and what happened in their last executions.

use http::Response;
use image::Chain;
use maud::{Markup, html};
use wasmtime_wasi_http::WasiBody;

use super::page::{Tab, page};
use super::{View, graph, page};
use crate::execution::{StepRecord, Trace};

pub(super) fn list(view: &View) -> Response<WasiBody> {
    let app = view.node.app();
    let chains = &app.manifest().chains;
    let traces = app.executions().traces();
    let content = html! {
        h1.quiet { "Chains" }
        @if chains.is_empty() {
            p.empty { "This app has no chains. " code { "[chains.NAME]" } " in its manifest declares one." }
        }
        @for (name, chain) in chains {
            @let last = traces.iter().find(|trace| trace.chain == ***name);
            section.card {
                h2 { a href={ "/chains/" (**name) } { (**name) } }
                (graph::draw(chain, last))
                p.note {
                    @match last {
                        Some(last) => { "Last begun at " (page::moment(last.time_us)) ": " (outcome(last)) }
                        None => { "It has not run yet." }
                    }
                }
            }
        }
    };
    page(view, Tab::Chains, "Chains", &content)
}

pub(super) fn chain(view: &View, name: &str) -> Option<Response<WasiBody>> {
    let app = view.node.app();
    let chain = app.manifest().chains.get(name)?;
    let traces = app.executions().traces();
    let traces: Vec<&Trace> = traces.iter().filter(|trace| trace.chain == name).collect();
    let content = html! {
        nav.path aria-label="Where this is" { a href="/chains" { "Chains" } }
        h1 { (name) }
        div id="live" data-live {
            section.card {
                (graph::draw(chain, traces.first().copied()))
                (steps(chain))
            }
            section.card {
                h2 { "Last executions" }
                @if traces.is_empty() { p.empty { "It has not run yet." } } @else { (executions(name, &traces)) }
            }
        }
    };
    Some(page(view, Tab::Chains, name, &content))
}

/// The graph in words.
fn steps(chain: &Chain) -> Markup {
    let names = |indices: Vec<usize>| -> Vec<String> {
        indices.into_iter().map(|index| chain.steps[index].name.to_string()).collect()
    };
    html! {
        details {
            summary { "As a table" }
            table {
                caption { "Steps, and what each waits for" }
                thead { tr { th scope="col" { "step" } th scope="col" { "calls" } th scope="col" { "after" } th scope="col" { "tries" } } }
                tbody {
                    @for (index, step) in chain.steps.iter().enumerate() {
                        @let after = names(chain.inputs(index));
                        tr {
                            th scope="row" { (*step.name) }
                            td { a href={ "/functions/" (*step.call) } { (*step.call) } @if *step.each { " for each element" } }
                            td { @if after.is_empty() { "the input" } @else { (after.join(", ")) } }
                            td { (step.retry.as_ref().map_or(1, |retry| *retry.attempts)) }
                        }
                    }
                }
            }
        }
    }
}

fn executions(name: &str, traces: &[&Trace]) -> Markup {
    let longest = traces.iter().filter_map(|trace| trace.took_us).max().unwrap_or(1).max(1);
    html! {
        table.stack {
            caption { "The latest first" }
            thead { tr { th scope="col" { "begun" } th scope="col" { "ended" } th.number scope="col" { "took" } th scope="col" { span.hidden { "Length" } } th scope="col" { "execution" } } }
            tbody {
                @for trace in traces {
                    tr {
                        td data-name="begun" { (page::moment(trace.time_us)) }
                        td data-name="ended" { (outcome(trace)) }
                        td.number data-name="took" { (trace.took_us.map_or("–".to_owned(), page::micros)) }
                        td.bar { (bar(0, trace.took_us.unwrap_or_default(), longest, if trace.error.is_some() { "failed" } else { "done" })) }
                        th scope="row" { a href={ "/chains/" (name) "/" (trace.id) } { code { (trace.id[..12]) } } }
                    }
                }
            }
        }
    }
}

fn outcome(trace: &Trace) -> Markup {
    html! {
        @match (&trace.error, trace.took_us) {
            (Some(error), _) => { span.state.failed { "failed" } " " span.note { (error) } }
            (None, Some(_)) => { span.state.done { "done" } }
            (None, None) => { span.state.running { "running" } }
        }
    }
}

/// One execution: when each step ran.
pub(super) fn execution(view: &View, name: &str, id: &str) -> Option<Response<WasiBody>> {
    let app = view.node.app();
    let chain = app.manifest().chains.get(name)?;
    let traces = app.executions().traces();
    let trace = traces.iter().find(|trace| trace.chain == name && trace.id == id)?;
    let ends = trace.steps.iter().filter_map(|step| step.ended_us.or(step.begun_us));
    let whole = ends.chain(trace.took_us).max().unwrap_or(1).max(1);
    let content = html! {
        nav.path aria-label="Where this is" { a href="/chains" { "Chains" } " / " a href={ "/chains/" (name) } { (name) } }
        h1 { code { (id) } }
        div id="live" data-live {
            dl.tiles {
                (page::tile("Ended", outcome(trace), ""))
                (page::tile("Took", trace.took_us.map_or("–".to_owned(), page::micros), ""))
                (page::tile("Begun", page::moment(trace.time_us), "UTC"))
            }
            section.card { (graph::draw(chain, Some(trace))) }
            section.card {
                h2 { "When each step ran" }
                table.waterfall {
                    caption { "Steps from the beginning of the execution; it took " (page::micros(whole)) }
                    thead {
                        tr {
                            th scope="col" { "step" }
                            th scope="col" { "state" }
                            th.bar scope="col" { span.ends { span { "0" } span { (page::micros(whole)) } } }
                            th.number scope="col" { "took" }
                            th.number scope="col" { "tries" }
                        }
                    }
                    tbody { @for step in &trace.steps { (waterfall(step, whole)) } }
                }
            }
        }
    };
    Some(page(view, Tab::Chains, name, &content))
}

fn waterfall(step: &StepRecord, whole: u64) -> Markup {
    let state = graph::name(step.state);
    let (begun, ended) = (step.begun_us, step.ended_us.unwrap_or(whole));
    html! {
        tr {
            th scope="row" { (step.name) }
            td { span.state.(state) { (state) } @if let Some(error) = &step.error { " " span.note { (error) } } }
            td.bar { @if let Some(begun) = begun { (bar(begun, ended, whole, state)) } }
            td.number { (begun.map_or("–".to_owned(), |begun| page::micros(ended.saturating_sub(begun)))) }
            td.number { (step.attempts) }
        }
    }
}

/// A bar from `begin` to `end` on a line that is `whole` long.
fn bar(begin: u64, end: u64, whole: u64, state: &str) -> Markup {
    const WIDTH: f64 = 1000.0;
    let place = |us: u64| us as f64 / whole as f64 * WIDTH;
    // What is too short to see is shown all the same.
    let width = (place(end) - place(begin)).max(3.0);
    let said = format!("from {} to {}", page::micros(begin), page::micros(end));
    html! {
        svg.bar.(state) viewBox="0 0 1000 10" preserveAspectRatio="none" role="img" aria-label=(said) {
            rect x=(format!("{:.1}", place(begin).min(WIDTH - width))) y="0" width=(format!("{width:.1}")) height="10" rx="2" {}
        }
    }
}
