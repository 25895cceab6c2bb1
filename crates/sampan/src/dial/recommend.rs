//! Which profile to choose for a program, and the numbers that say so.

use serde::Serialize;

use super::contest::Measured;
use super::contestant;
use super::score::{Scores, common_instances, memory, scores, start, work};
use super::stats::Spread;
use super::text::{bytes, seconds};

/// Sums of scores that differ by less are the same.
const TIE: f64 = 0.02;

/// What to choose.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Advice {
    pub(crate) profile: &'static str,
    pub(crate) reasons: Vec<String>,
}

/// One of our profiles, and what is known of it.
#[derive(Clone, Copy)]
struct Candidate<'a> {
    measured: &'a Measured,
    scores: Scores,
}

impl Candidate<'_> {
    fn name(self) -> &'static str {
        self.measured.name
    }

    fn sum(self) -> f64 {
        self.scores.named().iter().map(|(_, score)| score.median).sum()
    }
}

/// Advice by what was measured. `None` if that is too little.
pub(crate) fn recommend(measured: &[Measured]) -> Option<Advice> {
    let is_ours = |name: &str| contestant::ALL.iter().any(|one| one.name == name && one.is_ours());
    let candidates: Vec<Candidate<'_>> = measured
        .iter()
        .zip(scores(measured))
        .filter(|(measured, _)| is_ours(measured.name))
        .filter_map(|(measured, scores)| Some(Candidate { measured, scores: scores? }))
        .collect();
    let most = candidates.iter().map(|one| one.sum()).reduce(f64::max)?;
    // Of those that are as good, the one that isolates most; the first of those.
    let tied = candidates.iter().filter(|one| one.sum() > most - TIE);
    let chosen = *tied.rev().max_by_key(|one| one.measured.standing())?;
    let mut reasons = vec![sum(chosen, candidates.len())];
    let takes = format!("{} takes", unit(chosen.measured));
    reasons.extend(against_best(chosen, measured, &takes, "the fastest", seconds, work));
    let instances = common_instances(measured);
    if let Some(instances) = instances {
        let takes = match instances {
            1 => "an instance takes".to_owned(),
            many => format!("an instance among {many} takes"),
        };
        let memory = |one: &Measured| memory(one, instances);
        reasons.extend(against_best(chosen, measured, &takes, "the smallest", bytes, memory));
    }
    reasons.extend(alternatives(chosen, &candidates, instances));
    Some(Advice { profile: chosen.name(), reasons })
}

fn sum(chosen: Candidate<'_>, candidates: usize) -> String {
    let scores = chosen.scores.named().map(|(name, score)| format!("{name} {:.2}", score.median)).join(", ");
    match candidates {
        1 => format!("no other profile was measured whole ({scores})"),
        many => format!("its scores have the largest sum of {many} profiles, {:.2} ({scores})", chosen.sum()),
    }
}

/// What its time is taken of.
fn unit(measured: &Measured) -> &'static str {
    if measured.call.is_some() { "an answer" } else { "a run" }
}

/// How a cost of the chosen one compares with the least of all.
fn against_best(
    chosen: Candidate<'_>,
    measured: &[Measured],
    takes: &str,
    best: &str,
    shown: fn(f64) -> String,
    cost: impl Fn(&Measured) -> Option<Spread>,
) -> Option<String> {
    let own = cost(chosen.measured)?.median;
    let others = measured.iter().filter_map(|one| Some((one.name, cost(one)?.median)));
    let (name, least) = others.min_by(|(_, one), (_, other)| one.total_cmp(other))?;
    Some(match name == chosen.name() {
        true => format!("{takes} {}, {best} of all", shown(own)),
        false => {
            format!("{takes} {}, {} of {best}, `{name}` ({})", shown(own), times(own / least), shown(least))
        }
    })
}

/// What else to choose, by somebody to whom one of the three is all.
fn alternatives(chosen: Candidate<'_>, candidates: &[Candidate<'_>], instances: Option<u32>) -> Vec<String> {
    let others = || candidates.iter().copied().filter(|one| one.name() != chosen.name());
    let mut found = Vec::new();
    let faster: Vec<Candidate<'_>> = others().filter(|one| is_faster(*one, chosen)).collect();
    found.extend(fastest(&faster).and_then(|one| speed(one, chosen)));
    let most =
        others().max_by(|one, other| one.scores.efficiency.median.total_cmp(&other.scores.efficiency.median));
    if let Some(most) = most.filter(|most| most.scores.efficiency.low > chosen.scores.efficiency.high) {
        found.extend(saved(most, chosen));
    }
    if let Some(walled) = others().max_by_key(|one| one.measured.standing())
        && walled.measured.standing() > chosen.measured.standing()
    {
        let more = walled.measured.standing() - chosen.measured.standing();
        let (name, layers) = (walled.name(), counted(more, "layer"));
        let price = price(walled, chosen, instances);
        found.push(format!(
            "`{name}` if you do not trust the engine to be without errors: {layers} more{price}"
        ));
    }
    if let Some(trusted) = others().find(|one| one.name() == "trusted")
        && let Some(other) =
            candidates.iter().find(|one| one.name() != "trusted" && !is_faster(trusted, **one))
    {
        let (unit, other) = (unit(trusted.measured), other.name());
        found.push(format!("`trusted` gains nothing here: {unit} takes no less time than under `{other}`"));
    }
    found
}

/// The fastest; of those that are about as fast, the one that isolates most.
fn fastest<'a>(candidates: &[Candidate<'a>]) -> Option<Candidate<'a>> {
    let score = |one: &Candidate<'_>| one.scores.performance.median;
    let fastest = *candidates.iter().max_by(|one, other| score(one).total_cmp(&score(other)))?;
    let as_fast = candidates.iter().filter(|one| !is_faster(fastest, **one));
    as_fast.rev().max_by_key(|one| one.measured.standing()).copied()
}

/// Whether it is so in most runs, not only in the middle.
fn is_faster(one: Candidate<'_>, other: Candidate<'_>) -> bool {
    match (work(one.measured), work(other.measured)) {
        (Some(one), Some(other)) => one.high < other.low,
        _ => false,
    }
}

fn speed(fastest: Candidate<'_>, chosen: Candidate<'_>) -> Option<String> {
    let (fast, slow) = (work(fastest.measured)?.median, work(chosen.measured)?.median);
    let gain = (1.0 - fast / slow) * 100.0;
    let unit = unit(fastest.measured);
    let text = format!("`{}` if only speed counts: {gain:.0} % less time for {unit}", fastest.name());
    let compiling = fastest.measured.run.cold.map(|cold| cold.median - fast).filter(|time| *time > slow);
    Some(match compiling {
        None => text,
        Some(time) => {
            format!(
                "{text}; to compile it takes {}, which {:.0} runs pay back",
                seconds(time),
                (time / (slow - fast)).ceil()
            )
        }
    })
}

fn saved(most: Candidate<'_>, chosen: Candidate<'_>) -> Option<String> {
    let (own, its) = (start(chosen.measured)?.median, start(most.measured)?.median);
    let name = most.name();
    Some(format!(
        "`{name}` if only density counts: an instance starts in {} instead of {}",
        seconds(its),
        seconds(own)
    ))
}

/// What one costs more than another: nothing, if it costs no more.
fn price(one: Candidate<'_>, other: Candidate<'_>, instances: Option<u32>) -> String {
    let more = |cost: &dyn Fn(&Measured) -> Option<Spread>| {
        let more = cost(one.measured)?.median - cost(other.measured)?.median;
        (more > 0.0).then_some(more)
    };
    let start = more(&start).map(|time| format!("{} a start", seconds(time)));
    let memory = more(&|one| memory(one, instances?)).map(|amount| format!("{} an instance", bytes(amount)));
    match start.into_iter().chain(memory).collect::<Vec<_>>().join(" and ") {
        none if none.is_empty() => none,
        price => format!(", for {price}"),
    }
}

fn times(ratio: f64) -> String {
    match ratio {
        ..9.95 => format!("{ratio:.1} times that"),
        _ => format!("{ratio:.0} times that"),
    }
}

fn counted(count: usize, thing: &str) -> String {
    format!("{count} {thing}{}", if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dial::contest::Times;
    use crate::dial::isolation::{COUNT, Layer};
    use crate::dial::memory::Memory;

    fn around(median: f64) -> Option<Spread> {
        Some(Spread { median, low: median * 0.98, high: median * 1.02 })
    }

    /// One whose run, start and instance take so much, and of whom so many layers stand.
    fn measured(name: &'static str, run: f64, start: f64, bytes: f64, standing: usize) -> Measured {
        let times = |time: f64| Times { cached: around(time), warm: around(time), ..Times::default() };
        let layer = |index| Layer { name: "layer", stands: index < standing, seen: String::new() };
        Measured {
            name,
            shares: name != "sealed",
            start: times(start),
            run: times(run),
            memory: vec![Memory { instances: 100, bytes_each: Some(bytes), how: String::new() }],
            call: None,
            layers: (0..COUNT).map(layer).collect(),
        }
    }

    fn reasons(advice: &Advice) -> String {
        advice.reasons.join("\n")
    }

    #[test]
    fn the_largest_sum_is_chosen_and_its_price_told() {
        let all = [
            measured("dense", 0.1, 1e-5, 1e5, 3),
            measured("sealed", 0.11, 1e-2, 2e6, 13),
            measured("native", 0.08, 1e-3, 1e5, 0),
        ];
        let advice = recommend(&all).expect("there are profiles");
        // 0.97 + 1.00 + 0.20 against 0.95 + 0.28 + 0.87.
        assert_eq!(advice.profile, "dense");
        let reasons = reasons(&advice);
        assert!(
            reasons.contains("a run takes 100 ms, 1.2 times that of the fastest, `native` (80.0 ms)"),
            "{reasons}"
        );
        assert!(reasons.contains("`sealed` if you do not trust the engine"), "{reasons}");
        assert!(
            reasons.contains("10 layers more, for 9.99 ms a start and 1.81 MiB an instance"),
            "{reasons}"
        );
    }

    #[test]
    fn of_two_that_are_as_good_the_one_that_isolates_more_is_chosen() {
        let all = [measured("dense", 0.1, 1e-5, 1e5, 3), measured("portable", 0.1, 1e-5, 1.2e5, 3)];
        assert_eq!(recommend(&all).expect("there are profiles").profile, "dense");
        let all = [measured("dense", 0.1, 1e-5, 1e5, 3), measured("portable", 0.165, 1e-5, 1e5, 4)];
        assert_eq!(recommend(&all).expect("there are profiles").profile, "portable");
    }

    #[test]
    fn what_compiling_costs_is_weighed() {
        let mut native = measured("dense-native", 0.05, 1e-5, 1e5, 3);
        native.run.cold = around(2.05);
        let mut walled = measured("sealed", 0.1, 1e-4, 1e5, 13);
        walled.shares = true;
        let advice = recommend(&[walled, native]).expect("there are profiles");
        assert_eq!(advice.profile, "sealed");
        let reasons = reasons(&advice);
        assert!(
            reasons.contains("`dense-native` if only speed counts: 50 % less time for a run"),
            "{reasons}"
        );
        assert!(reasons.contains("to compile it takes 2.00 s, which 40 runs pay back"), "{reasons}");
    }

    #[test]
    fn of_two_that_are_as_fast_the_one_that_isolates_more_is_named() {
        let all = [
            measured("dense", 0.1, 1e-5, 1e5, 13),
            measured("dense-native", 0.0501, 1e-3, 1e6, 3),
            measured("trusted", 0.05, 1e-3, 1e6, 2),
        ];
        let reasons = reasons(&recommend(&all).expect("there are profiles"));
        assert!(reasons.contains("`dense-native` if only speed counts"), "{reasons}");
        assert!(
            reasons
                .contains("`trusted` gains nothing here: a run takes no less time than under `dense-native`"),
            "{reasons}"
        );
    }

    #[test]
    fn nothing_is_gained_by_less_isolation_that_is_not_faster() {
        let all = [measured("dense", 0.1, 1e-5, 1e5, 3), measured("trusted", 0.1, 1e-5, 1e5, 2)];
        let advice = recommend(&all).expect("there are profiles");
        assert_eq!(advice.profile, "dense");
        assert!(reasons(&advice).contains("`trusted` gains nothing here"), "{advice:?}");
    }

    #[test]
    fn who_is_missing_or_not_ours_is_not_recommended() {
        let native = measured("native", 0.01, 1e-5, 1e4, 15);
        assert_eq!(recommend(std::slice::from_ref(&native)), None);
        let mut unknown = measured("sealed", 0.01, 1e-5, 1e4, 15);
        unknown.memory.clear();
        let dense = measured("dense", 0.1, 1e-3, 1e6, 3);
        let advice = recommend(&[unknown, dense, native]).expect("one profile is known");
        assert_eq!(advice.profile, "dense");
        assert!(reasons(&advice).contains("no other profile was measured whole"), "{advice:?}");
    }
}
