//! Charts, as SVG that needs nothing else. Words and numbers around them are HTML, so that they keep their size.

use std::fmt::Write;

use hdrhistogram::Histogram;
use maud::{Markup, html};

use super::page;
use super::samples::Rates;

const WIDTH: f64 = 600.0;
const HEIGHT: f64 = 160.0;

/// Bars that a latency chart has for each tenfold.
const BARS_PER_DECADE: f64 = 8.0;

/// Calls a second over the last minutes, as an area; those without an answer in front of all.
pub(super) fn rates(rates: &Rates) -> Markup {
    let total = rates.total();
    let seconds = total.len();
    let peak = total.iter().copied().max().unwrap_or_default();
    let top = ceiling(peak as f64);
    let mean = total.iter().sum::<u64>() as f64 / seconds as f64;
    let said = format!(
        "{} calls a second now; {} on average and {} at most over {} minutes",
        page::rate(super::samples::now(&total)),
        page::rate(mean),
        page::count(peak),
        seconds / 60
    );
    html! {
        figure.chart {
            div.plot {
                div.scale aria-hidden="true" { span { (page::rate(top)) } span { (page::rate(top / 2.0)) } span { "0" } }
                svg viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } preserveAspectRatio="none" role="img" aria-label=(said) {
                    (lines())
                    (area(&total, top, "answered"))
                    (area(&rates.unanswered, top, "unanswered"))
                }
            }
            div.axis aria-hidden="true" {
                @for minute in (1..=seconds / 60).rev() { span { "−" (minute) " min" } }
                span { "now" }
            }
            figcaption { (said) "." }
        }
    }
}

/// The same, as small as a word.
pub(super) fn spark(rates: &Rates) -> Markup {
    const SECONDS: usize = 60;
    let total = rates.total();
    let last = &total[total.len().saturating_sub(SECONDS)..];
    let unanswered = &rates.unanswered[total.len().saturating_sub(SECONDS)..];
    let peak = last.iter().copied().max().unwrap_or_default().max(1);
    let said = format!("at most {} calls a second in the last minute", page::count(peak));
    html! {
        svg.spark viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } preserveAspectRatio="none" role="img" aria-label=(said) {
            (area(last, peak as f64, "answered"))
            (area(unanswered, peak as f64, "unanswered"))
        }
    }
}

fn area(values: &[u64], top: f64, class: &str) -> Markup {
    if values.iter().all(|value| *value == 0) {
        return html! {};
    }
    let step = WIDTH / (values.len() - 1).max(1) as f64;
    let height = |value: u64| HEIGHT - (value as f64 / top).min(1.0) * (HEIGHT - 2.0);
    // Where nothing happens, nothing is drawn: from the zero before a hill to the zero behind it.
    let is_hill = |index: usize| {
        values[index.saturating_sub(1)..(index + 2).min(values.len())].iter().any(|value| *value > 0)
    };
    let mut line = String::new();
    for index in (0..values.len()).filter(|index| is_hill(*index)) {
        let pen = if index > 0 && is_hill(index - 1) { 'L' } else { 'M' };
        let _ = write!(line, "{pen}{:.1} {:.1}", index as f64 * step, height(values[index]));
    }
    // Each hill is filled down to the ground, also one that reaches the edge of the chart.
    let first = values.first().filter(|value| **value > 0).map_or(String::new(), |_| format!("M0 {HEIGHT}L"));
    let last =
        values.last().filter(|value| **value > 0).map_or(String::new(), |_| format!("L{WIDTH} {HEIGHT}"));
    html! {
        g.(class) {
            path.area d={ (first) (line.strip_prefix(if first.is_empty() { "" } else { "M" }).unwrap_or(&line)) (last) } {}
            path.line d=(line) {}
        }
    }
}

fn lines() -> Markup {
    html! {
        g.lines {
            @for part in [0.0, 0.25, 0.5, 0.75, 1.0] { path d={ "M0 " (part * HEIGHT) "H" (WIDTH) } {} }
        }
    }
}

/// How long calls took: how many of them, for each span of time on a logarithmic axis.
pub(super) fn latencies(histogram: &Histogram<u64>) -> Markup {
    let bars = bars(histogram);
    let total = histogram.len();
    let (Some(first), Some(last)) = (bars.first(), bars.last()) else {
        return html! { p.empty { "No call has ended yet." } };
    };
    let (first, bars_count) = (first.0, (last.0 - first.0 + 1) as f64);
    let most = bars.iter().map(|(_, calls)| *calls).max().unwrap_or(1) as f64;
    let width = WIDTH / bars_count;
    let place = |us: u64| ((bar_of(us) - first) as f64 + 0.5) / bars_count * WIDTH;
    let quantiles = [("p50", 0.5), ("p90", 0.9), ("p99", 0.99)];
    let quantiles = quantiles.map(|(name, quantile)| (name, histogram.value_at_quantile(quantile)));
    let said = format!(
        "{} calls: half took at most {}, 90 % {}, 99 % {}",
        page::count(total),
        page::micros(quantiles[0].1),
        page::micros(quantiles[1].1),
        page::micros(quantiles[2].1)
    );
    html! {
        figure.chart {
            div.plot {
                div.scale aria-hidden="true" { span { (page::count(most as u64)) } span { "0" } }
                svg viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } preserveAspectRatio="none" role="img" aria-label=(said) {
                    (lines())
                    g.bars {
                        @for (bar, calls) in &bars {
                            @let height = (*calls as f64 / most * (HEIGHT - 4.0)).max(1.5);
                            rect x=(format!("{:.1}", (bar - first) as f64 * width + width * 0.08))
                                y=(format!("{:.1}", HEIGHT - height)) width=(format!("{:.1}", width * 0.84))
                                height=(format!("{height:.1}")) { title { (label(*bar, *calls)) } }
                        }
                    }
                    g.quantiles {
                        @for (name, us) in &quantiles {
                            path.(name) d=(format!("M{:.1} 0V{HEIGHT}", place(*us))) {}
                        }
                    }
                }
            }
            div.axis aria-hidden="true" {
                span { (page::micros(edge(first))) }
                span { (page::micros(edge(first + (bars_count / 2.0) as i32))) }
                span { (page::micros(edge(last.0 + 1))) }
            }
            figcaption {
                @for (name, us) in &quantiles { span.key.(name) { (name) " " strong { (page::micros(*us)) } } }
                span { (page::count(total)) " calls" }
            }
            details {
                summary { "As a table" }
                table {
                    caption { "Calls by how long they took" }
                    thead { tr { th scope="col" { "took" } th.number scope="col" { "calls" } th.number scope="col" { "share" } } }
                    tbody {
                        @for (bar, calls) in &bars {
                            tr {
                                th scope="row" { (page::micros(edge(*bar))) " – " (page::micros(edge(bar + 1))) }
                                td.number { (page::count(*calls)) }
                                td.number { (format!("{:.1} %", *calls as f64 * 100.0 / total as f64)) }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// The bars that are not empty, by number.
fn bars(histogram: &Histogram<u64>) -> Vec<(i32, u64)> {
    let mut bars: Vec<(i32, u64)> = Vec::new();
    for recorded in histogram.iter_recorded() {
        let (bar, calls) = (bar_of(recorded.value_iterated_to()), recorded.count_at_value());
        match bars.last_mut() {
            Some((last, sum)) if *last == bar => *sum += calls,
            _ => bars.push((bar, calls)),
        }
    }
    bars
}

fn bar_of(us: u64) -> i32 {
    ((us.max(1) as f64).log10() * BARS_PER_DECADE).floor() as i32
}

/// Microseconds at which a bar begins.
fn edge(bar: i32) -> u64 {
    10_f64.powf(f64::from(bar) / BARS_PER_DECADE).round() as u64
}

fn label(bar: i32, calls: u64) -> String {
    format!("{} – {}: {} calls", page::micros(edge(bar)), page::micros(edge(bar + 1)), page::count(calls))
}

/// The next round number above.
fn ceiling(number: f64) -> f64 {
    let power = 10_f64.powf(number.max(1.0).log10().floor());
    [1.0, 2.0, 4.0, 5.0, 8.0, 10.0]
        .into_iter()
        .map(|step| step * power)
        .find(|step| *step >= number)
        .unwrap_or(power)
}
