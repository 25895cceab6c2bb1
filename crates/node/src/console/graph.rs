//! A chain as a drawing: its steps from left to right, and what each waits for.

use image::Chain;
use maud::{Markup, html};

use crate::execution::{StepState, Trace};

const WIDTH: usize = 168;
const HEIGHT: usize = 56;
const GAP_X: usize = 56;
const GAP_Y: usize = 20;
const MARGIN: usize = 8;

/// Characters of a name that fit into its box.
const NAME_CHARS: usize = 20;

/// Draws `chain`, coloured by how `execution` went.
pub(super) fn draw(chain: &Chain, execution: Option<&Trace>) -> Markup {
    let levels = chain.levels();
    let rows = levels.iter().map(Vec::len).max().unwrap_or_default();
    let span =
        |count: usize, size: usize, gap: usize| count * size + count.saturating_sub(1) * gap + 2 * MARGIN;
    let (width, height) = (span(levels.len(), WIDTH, GAP_X), span(rows, HEIGHT, GAP_Y));
    let mut places = vec![(0, 0); chain.steps.len()];
    for (column, level) in levels.iter().enumerate() {
        let top = (height - span(level.len(), HEIGHT, GAP_Y)) / 2 + MARGIN;
        for (row, step) in level.iter().enumerate() {
            places[*step] = (MARGIN + column * (WIDTH + GAP_X), top + row * (HEIGHT + GAP_Y));
        }
    }
    let state =
        |step: usize| execution.and_then(|execution| execution.steps.get(step)).map(|step| step.state);
    let said =
        format!("{} steps in {} levels; the table below says the same", chain.steps.len(), levels.len());
    html! {
        div.graph role="region" aria-label="Graph of the chain" tabindex="0" {
            svg viewBox={ "0 0 " (width) " " (height) } width=(width) height=(height) role="img" aria-label=(said) {
                @for (step, (x, y)) in places.iter().enumerate() {
                    @for input in chain.inputs(step) {
                        @let (from_x, from_y) = (places[input].0 + WIDTH, places[input].1 + HEIGHT / 2);
                        @let (to_x, to_y) = (*x, y + HEIGHT / 2);
                        @let bend = (to_x - from_x) / 2;
                        path.edge.(state(step).map_or("", name)) d={
                            "M" (from_x) " " (from_y) "C" (from_x + bend) " " (from_y) " " (to_x - bend) " " (to_y) " " (to_x) " " (to_y)
                        } {}
                    }
                }
                @for (step, (x, y)) in places.iter().enumerate() {
                    (node(chain, step, *x, *y, state(step)))
                }
            }
        }
    }
}

fn node(chain: &Chain, step: usize, x: usize, y: usize, state: Option<StepState>) -> Markup {
    let declared = &chain.steps[step];
    let mut note = format!("→ {}", *declared.call);
    if *declared.each {
        note += " · each";
    }
    if let Some(retry) = &declared.retry {
        note += &format!(" · {}×", *retry.attempts);
    }
    html! {
        g.step.(state.map_or("", name)) {
            title { (*declared.name) " " (note) @if let Some(state) = state { ": " (name(state)) } }
            rect x=(x) y=(y) width=(WIDTH) height=(HEIGHT) rx="10" {}
            rect.mark x=(x) y=(y + 12) width="4" height=(HEIGHT - 24) rx="2" {}
            text.name x=(x + 18) y=(y + 24) { (cut(&declared.name)) }
            text.call x=(x + 18) y=(y + 42) { (cut(&note)) }
        }
    }
}

/// The state as a word, which is also its class.
pub(super) fn name(state: StepState) -> &'static str {
    match state {
        StepState::Waiting => "waiting",
        StepState::Running => "running",
        StepState::Done => "done",
        StepState::Failed => "failed",
        StepState::Skipped => "skipped",
    }
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(NAME_CHARS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
