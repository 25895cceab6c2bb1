//! The second look at a manifest: whether what parses can be meant.

mod chains;
mod functions;
mod routes;

use std::collections::BTreeMap;
use std::fmt::Display;
use std::ops::Range;
use std::path::PathBuf;
use std::time::Duration;

use crate::limits::{BUCKETS_MAX, CHAINS_MAX, FUNCTIONS_MAX, PROBLEMS_MAX, QUOTA_MAX, ROUTES_MAX, TTL_MAX};
use crate::refusal::instead;
use crate::{At, Bytes, Manifest, Name, Problem, Time};

/// The shortest time that is a limit and not a refusal.
const SHORTEST: Time = Time(Duration::from_millis(1));

/// Everything in `manifest` that cannot be meant.
pub(crate) fn check(manifest: &Manifest) -> Vec<Problem> {
    let mut check = Check { manifest, problems: Vec::new() };
    check.count("functions", keys(&manifest.functions), FUNCTIONS_MAX);
    check.count("routes", manifest.routes.iter().map(|route| route.path.span()), ROUTES_MAX);
    check.count("buckets", keys(&manifest.buckets), BUCKETS_MAX);
    check.count("blob stores", keys(&manifest.blobs), BUCKETS_MAX);
    check.count("chains", keys(&manifest.chains), CHAINS_MAX);
    // What is looked up below is looked up in all of these.
    if check.problems.is_empty() {
        check.functions();
        check.routes();
        check.stores();
        check.chains();
    }
    check.problems
}

struct Check<'a> {
    manifest: &'a Manifest,
    problems: Vec<Problem>,
}

impl Check<'_> {
    fn problem(&mut self, span: Range<usize>, message: impl Into<String>) {
        self.problems.push(Problem::new(span, message));
    }

    fn problem_with_hint(&mut self, span: Range<usize>, message: impl Into<String>, hint: impl Into<String>) {
        self.problems.push(Problem::new(span, message).hint(hint));
    }

    /// At most `max` of `what`; the problem is where the first one too many is.
    fn count(&mut self, what: &str, places: impl Iterator<Item = Range<usize>>, max: usize) {
        let mut places: Vec<_> = places.collect();
        if places.len() > max {
            places.sort_by_key(|span| span.start);
            self.problem(places[max].clone(), format!("more than {max} {what}"));
        }
    }

    /// `value`, which `what` is said to be, lies between `least` and `most`.
    fn bounds<T: Copy + Display + PartialOrd>(&mut self, what: &str, value: &At<T>, least: T, most: T) {
        if !(least..=most).contains(value) {
            let message = format!("{what} is {}: it must be from {least} to {most}", **value);
            self.problem(value.span(), message);
        }
    }

    /// A path that can be one at all.
    fn path(&mut self, path: &At<PathBuf>) {
        if path.as_os_str().is_empty() {
            self.problem(path.span(), "the path is empty");
        } else if path.to_string_lossy().contains(char::is_control) {
            self.problem(path.span(), "control character in a path");
        }
    }

    /// A name that is not one of `known`; `kind` says of what, and `table` where such are declared.
    fn unknown<'n>(
        &mut self,
        kind: &str,
        table: &str,
        name: &At<Name>,
        known: impl IntoIterator<Item = &'n At<Name>>,
    ) {
        let message = format!("no {kind} `{}`", **name);
        let known: Vec<_> = known.into_iter().map(|known| &***known as &str).collect();
        // Looking for a near name takes time: who makes a thousand mistakes is not told one for each.
        let hint = match self.problems.len() < PROBLEMS_MAX {
            true if known.is_empty() => Some(format!("`[{table}.{}]` declares one", **name)),
            true => instead(name, &known),
            false => None,
        };
        self.problems.push(Problem { hint, ..Problem::new(name.span(), message) });
    }

    /// A function of this app.
    fn function(&mut self, name: &At<Name>) {
        let manifest = self.manifest;
        if !manifest.functions.contains_key(&***name) {
            self.unknown("function", "functions", name, manifest.functions.keys());
        }
    }

    fn stores(&mut self) {
        let manifest = self.manifest;
        for bucket in manifest.buckets.values() {
            if let Some(ttl) = &bucket.ttl {
                self.bounds("time to live", ttl, SHORTEST, TTL_MAX);
            }
        }
        let quotas = manifest.buckets.values().map(|bucket| &bucket.quota);
        for quota in quotas.chain(manifest.blobs.values().map(|blobs| &blobs.quota)).flatten() {
            self.bounds("quota", quota, Bytes(1), QUOTA_MAX);
        }
    }
}

fn keys<T>(map: &BTreeMap<At<Name>, T>) -> impl Iterator<Item = Range<usize>> {
    map.keys().map(At::span)
}
