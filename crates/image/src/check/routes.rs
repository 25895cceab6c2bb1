//! Whether each request has one answer.

use std::collections::HashMap;

use matchit::{InsertError, Router};

use crate::limits::ROUTE_PATH_BYTES_MAX;
use crate::{At, Method, Route};

use super::Check;

/// The routes of one host: those that came first with their path, and by path all that have it.
#[derive(Default)]
struct Table<'a> {
    router: Router<()>,
    by_path: HashMap<&'a str, Vec<&'a Route>>,
}

impl Check<'_> {
    pub(super) fn routes(&mut self) {
        let manifest = self.manifest;
        let mut hosts = HashMap::<_, Table<'_>>::new();
        for route in &manifest.routes {
            self.target(route);
            self.host(route);
            if route.methods.as_ref().is_some_and(|methods| methods.is_empty()) {
                let span = route.methods.as_ref().map_or(0..0, At::span);
                self.problem_with_hint(span, "a route of no methods", "leave `methods` out for all");
            }
            if self.route_path(&route.path) {
                let host = route.host.as_ref().map(|host| host.as_str());
                self.conflicts(route, hosts.entry(host).or_default());
            }
        }
    }

    /// Exactly one target, which exists, and fits the rest.
    fn target(&mut self, route: &Route) {
        let manifest = self.manifest;
        let spans = [
            route.function.as_ref().map(At::span),
            route.chain.as_ref().map(At::span),
            route.files.as_ref().map(At::span),
        ];
        let mut spans: Vec<_> = spans.into_iter().flatten().collect();
        spans.sort_by_key(|span| span.start);
        let hint = "give it one of `function`, `chain` and `files`";
        match &spans[..] {
            [] => self.problem_with_hint(route.path.span(), "a route that leads nowhere", hint),
            [_] => {}
            [_, second, ..] => {
                self.problem_with_hint(second.clone(), "a route that leads to more than one place", hint);
            }
        }
        for function in route.function.iter().chain(&route.middleware) {
            self.function(function);
        }
        if let Some(chain) = route.chain.as_ref().filter(|chain| !manifest.chains.contains_key(&****chain)) {
            self.unknown("chain", chain, manifest.chains.keys());
        }
        if let Some(files) = &route.files {
            self.path(files);
        }
        if *route.websocket && route.function.is_none() {
            self.problem(route.websocket.span(), "only a function takes the messages of a WebSocket");
        }
    }

    fn host(&mut self, route: &Route) {
        let Some(host) = &route.host else { return };
        let in_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '.');
        if host.is_empty() || !host.chars().all(in_name) {
            let message = format!("`{}` is not a host name", **host);
            self.problem_with_hint(host.span(), message, "only the name, in lower case, without a port");
        }
    }

    /// Whether the path can be one, alone.
    fn route_path(&mut self, path: &At<String>) -> bool {
        let reason = if !path.starts_with('/') {
            "it does not begin with `/`"
        } else if path.len() > ROUTE_PATH_BYTES_MAX {
            "it is too long"
        } else if path.contains(|c: char| c.is_control() || matches!(c, ' ' | '?' | '#')) {
            "it contains what no path does"
        } else {
            match Router::new().insert(path.as_str(), ()) {
                Ok(()) => return true,
                Err(InsertError::InvalidParamSegment) => "more than one parameter in a segment",
                Err(InsertError::InvalidCatchAll) => "`{*…}` is not at its end",
                Err(_) => "its braces do not enclose names, as in `/a/{id}` and `/b/{*rest}`",
            }
        };
        self.problem(path.span(), format!("`{}` is not the path of a route: {reason}", **path));
        false
    }

    /// Two routes of one host may have the same path, if they differ in their methods.
    fn conflicts<'a>(&mut self, route: &'a Route, table: &mut Table<'a>) {
        let earlier = match table.by_path.get(route.path.as_str()) {
            Some(same_path) => same_path.iter().copied().find(|earlier| overlap(earlier, route)),
            None => match table.router.insert(route.path.as_str(), ()) {
                Ok(()) => None,
                Err(InsertError::Conflict { with }) => {
                    table.by_path.get(with.as_str()).and_then(|routes| routes.first()).copied()
                }
                Err(_) => None,
            },
        };
        if let Some(earlier) = earlier {
            let line = self.manifest.source.line(earlier.path.span().start);
            let message = format!("`{}` conflicts with `{}` on line {line}", *route.path, *earlier.path);
            let hint = match *route.path == *earlier.path {
                true => "give them different `methods` or a different `host`",
                false => "name the parameters alike, and give the routes different `methods`",
            };
            self.problem_with_hint(route.path.span(), message, hint);
        }
        table.by_path.entry(&route.path).or_default().push(route);
    }
}

fn overlap(a: &Route, b: &Route) -> bool {
    let methods = |route: &'_ Route| route.methods.as_ref().map(|methods| methods.to_vec());
    match (methods(a), methods(b)) {
        (Some(a), Some(b)) => a.iter().any(|method: &Method| b.contains(method)),
        _ => true,
    }
}
